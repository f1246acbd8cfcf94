"""The fixed position table by value."""

import math

import pytest
import torch

from tnt_backbone.layers import sinusoid_table


@pytest.mark.parametrize(('length', 'dims'), [(5, 8), (3, 7), (1, 2), (50, 64)])
def test_each_number_is_that_of_the_formula(length, dims):
    """Sect. 3.5 of https://arxiv.org/abs/1706.03762, with positions from 0."""
    table = sinusoid_table(length, dims)
    assert table.shape == (1, length, dims)
    for position in range(length):
        for pair in range(0, dims, 2):
            angle = position / 10000 ** (pair / dims)
            expected = [math.sin(angle), math.cos(angle)][: dims - pair]
            found = table[0, position, pair : pair + 2]
            torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-6, atol=1e-6)
