"""The pyramid: what feeds which level, and how."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tnt_backbone import TNT
from tnt_backbone.layers import to_word_map
from tnt_backbone.pyramid import Pyramid

TINY = {'depth': 4, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 16, 'sentence_heads': 2}


def test_default_taps_are_the_papers():
    """Blocks 3, 6, 9 and 12, counted from 1 (Appendix A.3)."""
    assert TNT('ti').taps == (2, 5, 8, 11)


def test_steps_up_are_transposed_and_steps_down_strided_convolutions():
    pyramid = TNT('ti').pyramid
    up = [
        [m for m in level.modules() if isinstance(m, nn.ConvTranspose2d)]
        for level in pyramid.levels.values()
    ]
    down = [
        [m for m in level.modules() if type(m) is nn.Conv2d and m.stride == (2, 2)]
        for level in pyramid.levels.values()
    ]
    assert [len(layers) for layers in up] == [2, 1, 0, 0]
    assert [len(layers) for layers in down] == [0, 0, 0, 1]


def test_blocks_behind_the_last_tap_in_use_are_not_built():
    backbone = TNT(TINY, out_indices=(0, 1))
    assert len(backbone.blocks) == backbone.num_layers == 2


def test_a_level_depends_on_the_blocks_up_to_its_tap():
    torch.manual_seed(0)
    backbone = TNT(TINY, img_size=32).eval()
    image = torch.randn(1, 3, 32, 32)
    before = backbone(image)
    with torch.no_grad():
        backbone.blocks[2].sentence_block.mlp.fc2.bias.normal_()
    after = backbone(image)
    same = [torch.equal(ours, theirs) for ours, theirs in zip(before, after, strict=True)]
    assert same == [True, True, False, False]


@given(
    height=st.integers(1, 99),
    width=st.integers(1, 99),
    in_strides=st.lists(st.sampled_from([4, 8, 14, 16, 32, 64]), min_size=1, max_size=4),
    strides=st.lists(st.integers(1, 70), min_size=4, max_size=4),
    smooth=st.booleans(),
)
def test_a_level_has_one_cell_for_each_begun_stride(height, width, in_strides, strides, smooth):
    levels = range(len(in_strides))
    pyramid = Pyramid(
        in_channels=(2,) * len(in_strides),
        out_channels=None,
        in_strides=in_strides,
        out_strides=strides[: len(in_strides)],
        out_indices=tuple(levels),
        smooth=smooth,
    ).eval()
    maps = [torch.randn(1, 2, -(-height // s), -(-width // s)) for s in in_strides]
    with torch.no_grad():
        made = pyramid(maps, [None] * len(maps), (height, width))
    for level, stride in zip(made, strides, strict=False):
        assert level.shape == (1, 2, -(-height // stride), -(-width // stride))
        assert level.isfinite().all()


def test_levels_lie_where_the_image_is():
    """With every resampling an average, a level shows the image: nothing is shifted or flipped."""
    pyramid = Pyramid(
        in_channels=(1,) * 4,
        out_channels=None,
        in_strides=(16,) * 4,
        out_strides=(4, 8, 12, 32),
        out_indices=(0, 1, 2, 3),
    ).eval()
    for module in pyramid.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / 9)
        elif isinstance(module, (nn.LayerNorm, nn.GELU)):
            module.forward = lambda tensor: tensor
        if getattr(module, 'bias', None) is not None:
            nn.init.zeros_(module.bias)
    ramp = ((torch.arange(12) + 0.5) / 12).expand(1, 1, 8, 12)  # the place of each cell's centre
    with torch.no_grad():
        levels = pyramid([ramp] * 4, [None] * 4, (128, 190))
    assert [level.shape[-2:] for level in levels] == [(32, 48), (16, 24), (11, 16), (4, 6)]
    for level in levels[:3]:
        columns = level[0, 0, 2]
        stride = {48: 4, 24: 8, 16: 12}[len(columns)]
        centres = (torch.arange(len(columns)) + 0.5) * stride / 192
        assert (columns - centres).abs().max() <= 8 / 192, (
            'off by more than half a cell of the tapped map'
        )


@pytest.mark.parametrize('out_strides', [(4, 8, 16, 32), (2, 8, 8, 8), (6, 4, 16, 32)], ids=str)
def test_word_pyramid_lets_fine_levels_read_the_words(out_strides):
    torch.manual_seed(0)
    backbone = TNT(TINY, img_size=32, word_pyramid=True, out_strides=out_strides, out_channels=None)
    reads = [level.read_words is not None for level in backbone.pyramid.levels.values()]
    assert reads == [stride < 16 for stride in out_strides]
    maps = backbone(torch.randn(1, 3, 40, 50))
    for level, stride in zip(maps, out_strides, strict=True):
        assert level.shape[-2:] == (-(-40 // stride), -(-50 // stride))
    sum(level.square().sum() for level in maps).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_words_arrive_in_their_place():
    """The map of words puts each word where its pixels are."""
    rows, columns, side = 2, 3, 4
    word_rows, word_columns = torch.meshgrid(
        torch.arange(rows * side), torch.arange(columns * side), indexing='ij'
    )
    coordinates = torch.stack((word_rows, word_columns)).float()  # (2, 8, 12)
    words = (
        coordinates.reshape(2, rows, side, columns, side)
        .permute(1, 3, 2, 4, 0)
        .reshape(rows * columns, 16, 2)
    )
    assert torch.equal(to_word_map(words, (rows, columns), side)[0], coordinates)


@pytest.mark.parametrize('kwargs', [{'out_indices': (2, 3)}, {'out_type': 'cls_token'}])
def test_word_pyramid_without_a_fine_level_is_refused(kwargs):
    with pytest.raises(ValueError, match=rf'word_pyramid=True\b.*{next(iter(kwargs))}='):
        TNT(TINY, word_pyramid=True, **kwargs)


@pytest.mark.parametrize('distributed', [True, False])
def test_training_in_evaluation_mode(monkeypatch, distributed):
    """DistributedDataParallel wants a gradient of each parameter there too; a graph does not."""
    monkeypatch.setattr('tnt_backbone.pyramid._is_distributed', lambda: distributed)
    backbone = TNT(TINY, img_size=32).eval()
    backbone(torch.randn(1, 3, 32, 32))[-1].sum().backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert all(name.startswith('pyramid.levels.') for name in without)
    assert bool(without) != distributed


def test_any_number_of_taps():
    backbone = TNT(TINY, taps=(1, 3), out_channels=(8, 24), out_strides=(8, 32), img_size=32)
    assert [tuple(level.shape) for level in backbone(torch.zeros(1, 3, 32, 64))] == [
        (1, 8, 4, 8),
        (1, 24, 1, 2),
    ]


def test_patches_of_14_pixels_are_interpolated_to_the_usual_strides():
    backbone = TNT(TINY, patch_size=14, word_stride=7, img_size=28)
    maps = backbone(torch.zeros(1, 3, 100, 60))
    assert [tuple(level.shape[-2:]) for level in maps] == [(25, 15), (13, 8), (7, 4), (4, 2)]
