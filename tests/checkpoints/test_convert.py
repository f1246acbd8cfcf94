"""Every form has one table, which works in both directions."""

import re

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.models import ImageClassifier
from mmpretrain.models.backbones import T2T_ViT

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.checkpoints.convert import FORMS, from_ours, possible_sources, to_ours

TNT_ARCH = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}
PYRAMID_ARCH = {
    'depths': (1, 7, 1, 1),
    'word_dims': (2, 4, 4, 4),
    'word_heads': (1, 1, 1, 1),
    'sentence_dims': (8, 16, 16, 16),
    'sentence_heads': (1, 2, 2, 2),
}
T2T_ARCH = {'depth': 2, 'embed_dims': 24, 'num_heads': 2, 'token_dims': 16}
MODELS = {
    'official TNT': lambda: TNT(TNT_ARCH, img_size=32, out_type='cls_token'),
    'legacy TNT': lambda: TNT(TNT_ARCH, img_size=32, out_type='cls_token', formulation='legacy'),
    'PyramidTNT': lambda: PyramidTNT(PYRAMID_ARCH, img_size=64, out_type='avg_featmap'),
    'Performer': lambda: T2TViT(T2T_ARCH, img_size=32, out_type='cls_token'),
    'Transformer': lambda: T2TViT(
        {**T2T_ARCH, 'token_attention': 'transformer'}, img_size=32, out_type='cls_token'
    ),
}
FORMS_OF = {
    'official TNT': ['tnt_backbone', 'official', 'timm'],
    'legacy TNT': ['tnt_backbone', 'timm', 'mmpretrain'],
    'PyramidTNT': ['tnt_backbone', 'official'],
    'Performer': ['tnt_backbone', 'official', 'mmpretrain'],
    'Transformer': ['tnt_backbone', 'official', 'mmpretrain'],
}
PAIRS = [
    (model, source)
    for model, sources in FORMS_OF.items()
    for source in sources
    if (model, source) != ('Performer', 'mmpretrain')
]


def our_classifier(model):
    torch.manual_seed(0)
    backbone = MODELS[model]()
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    return {
        **state,
        'head.fc.weight': torch.randn(5, backbone.embed_dims),
        'head.fc.bias': torch.randn(5),
    }


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(('model', 'source'), PAIRS)
def test_there_and_back_bit_for_bit(model, source):
    ours = our_classifier(model)
    theirs = from_ours(to_ours(ours), source)
    converted = to_ours(theirs)
    assert converted.form.source == source
    assert equal(from_ours(converted, 'tnt_backbone'), ours)


JOINED = {
    'official TNT': (
        'blocks.0.sentence_block.attn.qkv.weight',
        {
            'blocks.0.outer_attn.qk.weight': slice(0, 48),
            'blocks.0.outer_attn.v.weight': slice(48, 72),
        },
    ),
    'PyramidTNT': (
        'stages.0.blocks.0.word_block.attn.qkv.weight',
        {
            'stages.0.blocks.0.inner_attn.q.weight': slice(0, 2),
            'stages.0.blocks.0.inner_attn.kv.weight': slice(2, 6),
        },
    ),
}


@pytest.mark.parametrize('model', JOINED)
def test_our_joined_tensors_are_the_parts_of_the_authors(model):
    ours = our_classifier(model)
    key, parts = JOINED[model]
    theirs = from_ours(to_ours(ours), 'official')
    for name, rows in parts.items():
        assert torch.equal(theirs[name], ours[f'backbone.{key}'][rows]), name


@st.composite
def backbones(draw):
    """Networks of any small dimensions, of all families."""
    heads, depth = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dims = heads * draw(st.sampled_from([4, 8, 20]))
    family = draw(st.sampled_from([TNT, PyramidTNT, T2TViT]))
    torch.manual_seed(0)
    if family is TNT:
        arch = {'depth': depth, 'word_dims': 4, 'word_heads': draw(st.sampled_from([1, 2]))}
        inner_blocks = draw(st.sets(st.integers(0, depth - 1), min_size=1))
        return TNT(
            {**arch, 'sentence_dims': dims, 'sentence_heads': heads},
            img_size=32,
            out_type='raw',
            formulation=draw(st.sampled_from(['official', 'legacy'])),
            inner_blocks=sorted(inner_blocks),
            se=draw(st.booleans()),
        )
    if family is PyramidTNT:
        arch = {'depths': (depth, 7, 1, 1), 'word_dims': (4,) * 4, 'word_heads': (1,) * 4}
        arch |= {'sentence_dims': (dims,) * 4, 'sentence_heads': (heads,) * 4}
        return PyramidTNT(arch, img_size=64, out_type='raw')
    kind = draw(st.sampled_from(['performer', 'transformer']))
    arch = {'depth': depth, 'embed_dims': dims, 'num_heads': heads, 'token_dims': 8}
    return T2TViT({**arch, 'token_attention': kind}, img_size=32, out_type='raw')


@given(backbone=backbones(), prefix=st.sampled_from(['', 'backbone.', 'model.student.backbone.']))
def test_any_network_goes_there_and_back_in_all_its_forms(backbone, prefix):
    ours = {f'{prefix}{key}': value for key, value in backbone.state_dict().items()}
    expected = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    converted = to_ours(ours, prefix or None)
    assert equal(from_ours(converted, 'tnt_backbone'), expected)
    for source in possible_sources(converted):
        # only the authors have squeeze and excitation, and mmpretrain's Performer is another one
        missing = {'timm': r'\.se\.', 'mmpretrain': r'\.se\.|\.kqv\.'}.get(source)
        if missing and any(re.search(missing, key) for key in ours):
            with pytest.raises(ValueError, match=rf"'{source}'.*({missing})"):
                from_ours(converted, source)
            continue
        returned = to_ours(from_ours(converted, source))
        assert equal(from_ours(returned, 'tnt_backbone'), expected), source


@pytest.mark.parametrize('model', MODELS)
def test_the_possible_forms_are_named(model):
    converted = to_ours(our_classifier(model))
    assert possible_sources(converted) == FORMS_OF[model]
    for source in {form.source for form in FORMS} - set(FORMS_OF[model]):
        with pytest.raises(ValueError, match=rf"'{source}'.*\b{', '.join(FORMS_OF[model])}$"):
            from_ours(converted, source)


@pytest.mark.parametrize(
    'name', ['tnt_s_patch16_224', 'tnt_s_legacy_patch16_224', 'tnt_b_patch16_224']
)
def test_timms_model_takes_what_we_give(name):
    torch.manual_seed(0)
    theirs = timm.create_model(
        name, embed_dim=24, inner_dim=8, depth=2, num_heads_outer=2, num_classes=5, img_size=32
    )
    converted = to_ours(theirs.state_dict())
    assert converted.head.keys() == {'weight', 'bias'}
    returned = from_ours(to_ours(from_ours(converted, 'tnt_backbone')), 'timm')
    assert equal(returned, theirs.state_dict())


def mmpretrain_classifier(**backbone):
    torch.manual_seed(0)
    return ImageClassifier(
        backbone=backbone,
        head=dict(type='VisionTransformerClsHead', num_classes=5, in_channels=24)
        if backbone['type'] == 'T2T_ViT'
        else dict(type='LinearClsHead', num_classes=5, in_channels=24),
    )


MMPRETRAIN = {
    'TNT': dict(
        type='TNT',
        arch={
            'embed_dims_outer': 24,
            'embed_dims_inner': 8,
            'num_layers': 2,
            'num_heads_outer': 2,
            'num_heads_inner': 4,
        },
        img_size=32,
    ),
    'T2TViT': dict(
        type='T2T_ViT',
        img_size=32,
        embed_dims=24,
        num_layers=2,
        t2t_cfg=dict(token_dims=16, use_performer=False),
        layer_cfgs=dict(num_heads=2, feedforward_channels=72),
    ),
}


@pytest.mark.parametrize('family', MMPRETRAIN)
def test_mmpretrains_whole_classifier_comes_back(family):
    """The scale of its attention is not part of the keys."""
    state = mmpretrain_classifier(**MMPRETRAIN[family]).state_dict()
    converted = to_ours(state)
    assert (converted.form.source, converted.form.family) == ('mmpretrain', family)
    returned = from_ours(to_ours(from_ours(converted, 'tnt_backbone')), 'mmpretrain')
    assert equal(returned, state)


def test_tensors_without_a_name_there_are_an_error():
    state = TNT(TNT_ARCH, img_size=32, se=True, out_type='cls_token').state_dict()
    assert from_ours(to_ours(state), 'official')
    with pytest.raises(ValueError, match=r"'timm'.*\.se\."):
        from_ours(to_ours(state), 'timm')
    performer = to_ours(MODELS['Performer']().state_dict())
    with pytest.raises(ValueError, match=r"'mmpretrain'.*features"):
        from_ours(performer, 'mmpretrain')


def test_our_pyramid_is_left_out_elsewhere():
    state = TNT(TNT_ARCH, img_size=32, taps=(0, 0, 1, 1)).state_dict()
    theirs = from_ours(to_ours(state), 'timm')
    assert not any('pyramid' in key for key in theirs)
    assert len(from_ours(to_ours(state), 'tnt_backbone')) == len(state)


def test_every_form_is_recognised_as_itself():
    """No file fits two forms: mmpretrain's T2T-ViT shares most names with the authors'."""
    theirs = T2T_ViT(**{key: v for key, v in MMPRETRAIN['T2TViT'].items() if key != 'type'})
    assert to_ours(theirs.state_dict()).form.source == 'mmpretrain'
