"""Laws of what all backbones share: padding to whole patches, sizes of the maps."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.backbones import BACKBONES, TNT

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


@pytest.mark.parametrize('value', [True, 1, 's3://bucket/tnt_s.pth', 'ftp://host/a.pth'])
@pytest.mark.parametrize('family', BACKBONES)
def test_pretrained_that_names_no_weights_is_refused(family, value):
    with pytest.raises(ValueError, match='pretrained='):
        family(pretrained=value)
    for zoo in ('open-mmlab://resnet50', 'torchvision://resnet50', None, False):
        assert family(pretrained=zoo).init_cfg is None


def test_a_table_of_other_channels_is_not_called_resized():
    small, large = TNT('ti', img_size=32), TNT('s', img_size=32)
    assert large.fit_position_tables(small.state_dict()) == {}
