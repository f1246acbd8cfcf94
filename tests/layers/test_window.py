"""Attention in windows against global attention under a mask, written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tnt_backbone import TNT
from tnt_backbone.layers import attend_in_windows
from tnt_backbone.layers.window import _cut, _join

ARCH = {'depth': 6, 'word_dims': 4, 'word_heads': 1, 'sentence_dims': 16, 'sentence_heads': 2}


def masked_attention(q, k, v, grid, window):
    """The class token sees all and is seen by all; others see their own window."""
    rows = torch.arange(grid[0]).repeat_interleave(grid[1]) // window
    columns = torch.arange(grid[1]).repeat(grid[0]) // window
    same = (rows[:, None] == rows) & (columns[:, None] == columns)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=F.pad(same, (1, 0, 1, 0), value=True))


@pytest.mark.parametrize('grid', [(4, 6), (5, 7), (3, 3), (1, 9)], ids=str)
@pytest.mark.parametrize('window', [1, 2, 3, 16])
def test_equals_masked_global_attention(grid, window):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 1 + grid[0] * grid[1], 8, dtype=torch.float64)
    expected = masked_attention(q, k, v, grid, window)
    torch.testing.assert_close(attend_in_windows(q, k, v, grid, window), expected)


sides = st.integers(1, 9)


@given(grid=st.tuples(sides, sides), window=st.tuples(sides, sides))
def test_what_is_cut_and_joined_is_the_same(grid, window):
    tokens = torch.randn(2, 3, grid[0] * grid[1], 4)
    windows = _cut(tokens, grid, window)
    number = -(-grid[0] // window[0]) * -(-grid[1] // window[1])
    assert windows.shape == (2 * number, 3, window[0] * window[1], 4)
    assert windows.count_nonzero() == tokens.count_nonzero(), 'zeros at the edge'
    assert torch.equal(_join(windows, grid, window), tokens)


def test_a_window_that_covers_the_grid_is_global_attention():
    torch.manual_seed(0)
    windowed = TNT(ARCH, window_size=5, global_blocks=(), out_type='raw', img_size=64).eval()
    whole = TNT(ARCH, out_type='raw', img_size=64).eval()
    whole.load_state_dict(windowed.state_dict())
    image = torch.randn(2, 3, 80, 48)  # 5 x 3 sentences
    torch.testing.assert_close(windowed(image), whole(image))
    larger = torch.randn(2, 3, 96, 48)
    assert not torch.allclose(windowed(larger)[0], whole(larger)[0])


def test_what_a_window_does_not_see_changes_nothing():
    torch.manual_seed(0)
    backbone = TNT(ARCH, window_size=2, global_blocks=(5,), img_size=64)
    q, k, v = torch.randn(3, 1, 2, 17, 8)
    before = attend_in_windows(q, k, v, (4, 4), 2)
    k[:, :, 16], v[:, :, 16] = 0.0, 0.0  # the last sentence, in the last window
    after = attend_in_windows(q, k, v, (4, 4), 2)
    changed = (before != after).any(dim=-1).any(dim=1)[0]
    assert changed.nonzero().flatten().tolist() == [0, 11, 12, 15, 16]  # 0 is the class token
    assert [block.sentence_block.attn.window_size for block in backbone.blocks] == [2] * 5 + [None]


def test_four_blocks_stay_global_by_default():
    backbone = TNT('ti', window_size=14)
    sizes = [block.sentence_block.attn.window_size for block in backbone.blocks]
    assert [i for i, size in enumerate(sizes) if size is None] == [2, 5, 8, 11]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'window_size': 0}, 'window_size=0 '),
        ({'window_size': 2.5}, r'window_size=2\.5 '),
        ({'window_size': 2, 'global_blocks': 3}, r'global_blocks=3\b.*\b5\b'),
        ({'inner_blocks': 'x'}, r"inner_blocks='x'.*\b5\b"),
        ({'global_blocks': (0,)}, r'global_blocks=\(0,\) .*window_size'),
        ({'window_size': 2, 'global_blocks': (6,)}, r'global_blocks=\(6,\).*\b5\b'),
    ],
)
def test_bad_windows_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TNT(ARCH, **arguments)
