"""From stage to stage of PyramidTNT, on odd grids too."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.layers import SentenceAggregation, WordAggregation, cut_into_tiles, to_word_map


@given(rows=st.integers(1, 5), columns=st.integers(1, 5), side=st.integers(1, 5))
def test_tiles_and_word_maps_are_inverse(rows, columns, side):
    word_map = torch.randn(2, 3, rows * side, columns * side)
    tiles = cut_into_tiles(word_map, side)
    last = word_map[1, :, (rows - 1) * side :, (columns - 1) * side :]
    assert torch.equal(tiles[-1], last)
    assert torch.equal(tiles[columns - 1], word_map[0, :, :side, (columns - 1) * side :])
    words = tiles.flatten(2).transpose(1, 2)
    assert torch.equal(to_word_map(words, (rows, columns), side), word_map)


@pytest.mark.parametrize('grid', [(4, 6), (5, 7), (1, 1)], ids=str)
def test_sizes_halve_and_round_up(grid):
    rows, columns = grid
    words = WordAggregation(2, 6, 4)(torch.randn(2 * rows * columns, 16, 2), grid)
    sentences = SentenceAggregation(8, 10)(torch.randn(2, rows * columns, 8), grid)
    halved = -(-rows // 2) * -(-columns // 2)
    assert words.shape == (2 * halved, 16, 6)
    assert sentences.shape == (2, halved, 10)


def test_words_see_only_their_four_sentences():
    """The authors' way: the convolution's border is zero at each group of four sentences."""
    torch.manual_seed(0)
    aggregate = WordAggregation(2, 3, 4)
    words = torch.randn(16, 16, 2)  # 4 x 4 sentences
    changed = words.clone()
    changed[5] += 1.0  # row 1, column 1: in the first group of four
    difference = (aggregate(words, (4, 4)) - aggregate(changed, (4, 4))).abs().amax(dim=(1, 2))
    assert difference.nonzero().flatten().tolist() == [0]


def test_an_odd_edge_is_filled_with_zeros_after_the_norm():
    """As the authors' code pads, "to fit (1333, 800) in detection"."""
    torch.manual_seed(0)
    aggregate = WordAggregation(2, 3, 4)
    words = torch.randn(3, 16, 2)  # 1 x 3 sentences
    row = aggregate(words, (1, 3))
    normed = torch.cat((aggregate.norm(words), torch.zeros(1, 16, 2)))
    filled = torch.cat((to_word_map(normed, (1, 4), 4), torch.zeros(1, 2, 4, 16)), dim=2)
    expected = aggregate.conv(cut_into_tiles(filled, 8)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(row, expected)
