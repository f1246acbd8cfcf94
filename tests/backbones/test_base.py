"""Laws of what all backbones share: padding to whole patches, sizes of the maps."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.backbones import BACKBONES, TNT, PyramidTNT

sides = st.integers(1, 70)


@cache
def smallest(backbone_class):
    torch.manual_seed(0)
    arch = next(iter(backbone_class.VARIANTS))
    return backbone_class(arch, img_size=64, out_channels=None, out_strides=(8, 8, 16, 32)).eval()


@pytest.mark.parametrize('backbone_class', BACKBONES)
@given(height=sides, width=sides)
def test_padding_reaches_the_next_patch_and_changes_no_pixel(backbone_class, height, width):
    backbone = smallest(backbone_class)
    image = torch.randn(1, 3, height, width)
    padded = backbone._pad(image)
    for before, after in zip((height, width), padded.shape[-2:], strict=True):
        assert after % backbone.pad_divisor == 0
        assert before <= after < before + backbone.pad_divisor
    assert torch.equal(padded[..., :height, :width], image)
    assert not padded[..., height:, :].any()
    assert not padded[..., width:].any()
    assert backbone._pad(padded) is padded


@pytest.mark.parametrize('backbone_class', BACKBONES)
@given(height=sides, width=sides)
def test_what_is_padded_by_hand_has_the_same_maps(backbone_class, height, width):
    """So zeros outside of an image are what a backbone sees, and maps are cut to the image."""
    backbone = smallest(backbone_class)
    image = torch.randn(1, 3, height, width)
    with torch.no_grad():
        cut, whole = backbone(image), backbone(backbone._pad(image))
    for level, padded, stride in zip(cut, whole, backbone.out_strides, strict=True):
        rows, columns = -(-height // stride), -(-width // stride)
        assert level.shape[-2:] == (rows, columns)
        torch.testing.assert_close(level, padded[..., :rows, :columns])


@pytest.mark.parametrize('value', [True, 1.0, '1'])
@pytest.mark.parametrize('name', ['out_indices', 'taps', 'frozen_stages', 'img_size'])
def test_numbers_of_blocks_are_integers(name, value):
    numbers = (value,) * 4 if name == 'taps' else (value,) if name == 'out_indices' else value
    with pytest.raises(ValueError, match=name):
        TNT('ti', **{name: numbers})


@pytest.mark.parametrize(
    ('value', 'error'),
    [
        (True, TypeError),
        (123, TypeError),
        ('s3://bucket/tnt_s.pth', ValueError),
        ('ftp://host/a.pth', ValueError),
    ],
)
@pytest.mark.parametrize('family', BACKBONES)
def test_pretrained_that_names_no_weights_is_refused(family, value, error):
    with pytest.raises(error, match='pretrained='):
        family(pretrained=value)


@pytest.mark.parametrize('zoo', ['open-mmlab://resnet50', 'torchvision://resnet50', None, False])
@pytest.mark.parametrize('family', BACKBONES)
def test_pretrained_of_another_network_is_passed_over(family, zoo):
    with torch.device('meta'):
        assert family(pretrained=zoo).init_cfg is None


def test_a_table_of_other_channels_is_not_called_resized():
    small, large = TNT('ti', img_size=32), TNT('s', img_size=32)
    assert large.fit_position_tables(small.state_dict()) == {}


TINY = {'depth': 3, 'word_dims': 4, 'word_heads': 1, 'sentence_dims': 16, 'sentence_heads': 2}
STAGES = {
    'depths': (2, 1, 2, 1),
    'word_dims': (4,) * 4,
    'word_heads': (1,) * 4,
    'sentence_dims': (16,) * 4,
    'sentence_heads': (2,) * 4,
}
DEPTHS = {
    ('TNT', 'sentence_pos'): 0,
    ('TNT', 'word_embed.proj.weight'): 0,
    ('TNT', 'blocks.0.sentence_block.norm1.weight'): 1,
    ('TNT', 'blocks.2.sentence_block.norm1.weight'): 3,
    ('TNT', 'norm.weight'): 4,
    ('TNT', 'pyramid.levels.0.weight'): 4,
    ('PyramidTNT', 'stem.common.0.weight'): 0,
    ('PyramidTNT', 'sentence_pos'): 0,
    ('PyramidTNT', 'stages.0.relative_pos'): 1,
    ('PyramidTNT', 'stages.0.blocks.1.sentence_block.norm1.weight'): 2,
    ('PyramidTNT', 'stages.1.word_merge.norm.weight'): 3,
    ('PyramidTNT', 'stages.1.blocks.0.sentence_block.norm1.weight'): 3,
    ('PyramidTNT', 'stages.2.blocks.1.sentence_block.norm1.weight'): 5,
    ('PyramidTNT', 'stages.3.blocks.0.sentence_block.norm1.weight'): 6,
    ('PyramidTNT', 'norm.weight'): 7,
}


@cache
def tiny(family):
    if family == 'TNT':
        return TNT(TINY, img_size=(32, 64), out_type='raw')
    return PyramidTNT(STAGES, img_size=32, out_type='raw')


@pytest.mark.parametrize(('family', 'name'), DEPTHS)
def test_depths_of_parameters(family, name):
    depth, number = DEPTHS[family, name], {'TNT': 5, 'PyramidTNT': 8}[family]
    assert tiny(family).get_layer_depth(name) == (depth, number)
    assert tiny(family).get_layer_depth(f'model.{name}', 'model.') == (depth, number)
    assert tiny(family).get_layer_depth(f'head.{name}', 'model.') == (number - 1, number)


@pytest.mark.parametrize(
    ('rows', 'grid', 'found'),
    [
        (8, None, (2, 4)),  # its own
        (8, (4, 2), (4, 2)),
        (8, (3, 3), (2, 4)),  # of another table
        (1, None, (1, 1)),
        (9, None, (3, 3)),
        (16, None, (4, 4)),
        (6, (2, 3), (2, 3)),
        (6, (1, 7), None),
        (6, None, None),
        (0, None, None),
        (-1, None, None),
    ],
)
def test_grids_of_tables(rows, grid, found):
    assert tiny('TNT').grid == (2, 4)
    assert tiny('TNT')._grid_of_table(rows, grid) == found


def test_what_is_no_position_table_is_left_alone():
    backbone = tiny('TNT')
    table = torch.randn(1, 1 + 9, 16)
    resized = backbone.fit_position_tables({'a.sentence_pos': table}, 'a.')
    assert {key: value.shape for key, value in resized.items()} == {
        'a.sentence_pos': (1, 1 + 8, 16)
    }
    assert torch.equal(resized['a.sentence_pos'][:, 0], table[:, 0])
    for other in (table[0], table[None], table[..., :15], backbone.sentence_pos.detach()):
        assert backbone.fit_position_tables({'sentence_pos': other}) == {}
    assert backbone.fit_position_tables({'a.sentence_pos': table}) == {}


def test_tokens_become_what_out_type_names():
    tokens = torch.randn(2, 1 + 6, 16)
    expected = {
        'cls_token': tokens[:, 0],
        'avg_featmap': tokens[:, 1:].mean(dim=1),
        'featmap': tokens[:, 1:].transpose(1, 2).reshape(2, 16, 2, 3),
        'raw': tokens,
    }
    for out_type, output in expected.items():
        backbone = TNT(TINY, img_size=32, out_type=''.join(list(out_type)))
        torch.testing.assert_close(backbone._format_tokens(tokens, (2, 3)), output)


@pytest.mark.parametrize('backbone_class', BACKBONES)
def test_the_defaults_are_those_of_a_resnet50(backbone_class):
    backbone = backbone_class(next(iter(backbone_class.VARIANTS)))
    assert backbone.out_strides == (4, 8, 16, 32)
    assert backbone.out_channels == (256, 512, 1024, 2048)
    assert all(parameter.requires_grad for parameter in backbone.parameters())
