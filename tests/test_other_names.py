"""Arguments of other libraries: the message says what this package calls them."""

import inspect
import re

import pytest
import timm.models.tnt
from mmengine.registry import MODELS
from mmpretrain.models import backbones as mmpretrain

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.errors import InputError, InputTypeError
from tnt_backbone.other_names import ABSENT, RENAMED, field_names


@pytest.mark.parametrize(
    ('family', 'theirs', 'ours'),
    [
        (TNT, 'embed_dims', 'arch=dict(sentence_dims='),
        (TNT, 'inner_dim', 'arch=dict(word_dims='),
        (TNT, 'first_stride', 'use word_stride'),
        (TNT, 'qkv_bias', 'arch=dict(qkv_bias='),
        (TNT, 'legacy', 'use formulation'),
        (TNT, 'norm_eval', 'BatchNorm'),
        (TNT, 'window_block_indexes', 'use window_size and global_blocks'),
        (TNT, 'out_indexes', 'Did you mean out_indices?'),
        (PyramidTNT, 'embed_dims', 'arch=dict(sentence_dims='),
        (PyramidTNT, 'depth', 'arch=dict(depths='),
        (PyramidTNT, 'patch_size', 'Leave it out'),
        (T2TViT, 'embed_dims', 'arch=dict(embed_dims='),
        (T2TViT, 't2t_cfg', 'arch=dict(token_attention=..., token_dims='),
        (T2TViT, 'final_norm', 'use out_type'),
        (T2TViT, 'num_classes', 'head'),
        (T2TViT, 'in_chans', 'use in_channels'),
    ],
)
def test_the_message_names_ours(family, theirs, ours):
    expected = (
        rf"unexpected keyword argument '{theirs}'.* {theirs}: .*{re.escape(ours)}.* takes arch,"
    )
    with pytest.raises(InputTypeError, match=expected):
        family(**{theirs: 3})


@pytest.mark.parametrize(
    ('theirs', 'family'),
    [(mmpretrain.TNT, TNT), (mmpretrain.T2T_ViT, T2TViT), (timm.models.tnt.TNT, TNT)],
)
def test_all_arguments_of_the_libraries_own_classes_are_known(theirs, family):
    known = {*inspect.signature(family).parameters, *field_names(family.VARIANTS), *RENAMED}
    others = {'device', 'dtype', *known, *ABSENT}  # torch.device(...) is the way to say them
    assert not set(inspect.signature(theirs).parameters) - others


@pytest.mark.parametrize('family', BACKBONES, ids=lambda family: family.__name__)
def test_every_name_of_the_table_is_ours(family):
    everything = {
        *(name for other in BACKBONES for name in inspect.signature(other).parameters),
        *(f'arch.{field}' for other in BACKBONES for field in field_names(other.VARIANTS)),
    }
    for theirs, ours in RENAMED.items():
        assert set(ours) <= everything, theirs
        assert theirs not in inspect.signature(family).parameters


def test_all_unknown_arguments_are_named_and_a_stock_backbone_is_replaced_as_a_whole():
    with pytest.raises(InputTypeError, match=r'depth: .*num_stages: .*style: .*_delete_=True'):
        MODELS.build(dict(type='TNT', depth=50, num_stages=4, style='pytorch'))
    with pytest.raises(InputTypeError) as raised:
        TNT(in_chans=3)
    assert '_delete_' not in str(raised.value)


def test_fields_of_arch_are_named_too():
    theirs = dict(embed_dims_outer=640, embed_dims_inner=40, num_layers=12, num_heads_inner=4)
    expected = (
        'embed_dims_inner is word_dims .*embed_dims_outer is sentence_dims .*is word_heads .*'
    )
    with pytest.raises(InputError, match=expected + 'num_layers is depth'):
        TNT(theirs)


def test_a_subclass_keeps_its_own_arguments():
    class Named(TNT):
        def __init__(self, num_classes, **options):
            super().__init__(**options)
            self.num_classes = num_classes

    assert Named(num_classes=5, arch='ti', img_size=32).num_classes == 5
    with pytest.raises(TypeError, match='depthh'):
        Named(num_classes=5, depthh=3)
