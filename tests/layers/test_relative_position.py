"""The factored table against the dense one that it stands for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from tnt_backbone.layers import SpatialReductionAttention, factor_relative_position

CASES = [
    ((4, 6), (2, 3), (8, 6), (4, 3)),
    ((4, 4), (4, 4), (5, 9), (5, 9)),
    ((3, 2), (1, 1), (7, 4), (2, 2)),
]


def dense_table(table, grid, key_grid, new_grid, new_key_grid):
    """Resize the keys of each query, then the queries of each key, with torch's own function."""
    heads = table.shape[1]
    keys = table[0].reshape(-1, 1, *key_grid)
    keys = F.interpolate(keys, size=new_key_grid, mode='bicubic', align_corners=False)
    queries = keys.reshape(heads, grid[0] * grid[1], -1).transpose(1, 2)
    queries = queries.reshape(-1, 1, *grid)
    queries = F.interpolate(queries, size=new_grid, mode='bicubic', align_corners=False)
    return queries.reshape(heads, -1, new_grid[0] * new_grid[1]).transpose(1, 2)


@pytest.mark.parametrize('grids', CASES, ids=str)
def test_the_factors_make_the_dense_table(grids):
    torch.manual_seed(0)
    (h, w), (hk, wk) = grids[:2]
    table = torch.randn(1, 2, h * w, hk * wk, dtype=torch.float64)
    queries, keys = factor_relative_position(table, *grids)
    torch.testing.assert_close(queries @ keys.T, dense_table(table, *grids))


sides = st.integers(1, 4)
odd = st.sampled_from([1, 3])


@given(
    grid=st.tuples(sides, sides),
    key_grid=st.tuples(sides, sides),
    times=st.tuples(odd, odd),
    key_times=st.tuples(odd, odd),
)
def test_there_and_back_is_the_table_where_centres_meet(grid, key_grid, times, key_times):
    """An odd multiple of a grid has a cell in the middle of each of the grid's."""
    torch.manual_seed(0)
    table = torch.randn(1, 2, grid[0] * grid[1], key_grid[0] * key_grid[1], dtype=torch.float64)
    own = (grid, key_grid)
    larger = tuple(
        (side[0] * factor[0], side[1] * factor[1])
        for side, factor in zip(own, (times, key_times), strict=True)
    )
    there = dense(factor_relative_position(table, *own, *larger))
    back = dense(factor_relative_position(there, *larger, *own))
    torch.testing.assert_close(back, table)


def dense(factors):
    queries, keys = factors
    return (queries if keys is None else queries @ keys.T).unsqueeze(0)


def test_at_its_own_size_the_table_stays_as_it_is():
    table = torch.randn(1, 2, 12, 3)
    queries, keys = factor_relative_position(table, (4, 3), (3, 1), (4, 3), (3, 1))
    assert keys is None
    assert torch.equal(queries, table[0])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize('grids', CASES, ids=str)
def test_a_table_of_half_precision_is_resized_in_fp32(grids, dtype):
    torch.manual_seed(0)
    (h, w), (hk, wk) = grids[:2]
    table = (100 * torch.randn(1, 2, h * w, hk * wk)).to(dtype)
    expected = factor_relative_position(table.float(), *grids)
    for ours, precise in zip(factor_relative_position(table, *grids), expected, strict=True):
        assert torch.equal(ours, precise.to(dtype))


@pytest.mark.parametrize('sr_ratio', [1, 2])
def test_attention_adds_the_table_to_its_logits(sr_ratio):
    """Against attention with the dense table, as the authors write it."""
    torch.manual_seed(0)
    attn = SpatialReductionAttention(16, 2, sr_ratio).double()
    grid, key_grid = (6, 4), (6 // sr_ratio, 4 // sr_ratio)
    table = torch.randn(
        1, 2, 24, key_grid[0] * key_grid[1], dtype=torch.float64, requires_grad=True
    )
    tokens = torch.randn(3, 24, 16, dtype=torch.float64)
    position = factor_relative_position(table, grid, key_grid, grid, key_grid)

    q = attn.q(tokens).reshape(3, 24, 2, 8).transpose(1, 2)
    pooled = tokens
    if sr_ratio > 1:
        pooled = F.avg_pool2d(tokens.transpose(1, 2).reshape(3, 16, *grid), sr_ratio).flatten(2)
        pooled = attn.reduce_norm(attn.reduce(pooled.transpose(1, 2)))
    k, v = attn.kv(pooled).reshape(3, -1, 2, 2, 8).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(-2, -1) * 8**-0.5 + table).softmax(-1)
    expected = attn.proj((weights @ v).transpose(1, 2).reshape(3, 24, 16))

    actual = attn(tokens, grid, position)
    torch.testing.assert_close(actual, expected)
    (theirs,) = torch.autograd.grad(expected.square().sum(), table)
    (ours,) = torch.autograd.grad(attn(tokens, grid, position).square().sum(), table)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('key_grid', [(3, 2), (2, 2)], ids=['own size', 'resized'])
def test_without_gradients_attention_is_fused(key_grid):
    """Nothing but fused attention is allowed here."""
    attn = SpatialReductionAttention(16, 2, sr_ratio=2)
    table = torch.nn.Parameter(torch.zeros(1, 2, 24, key_grid[0] * key_grid[1]))
    with torch.no_grad(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        position = factor_relative_position(table, (6, 4), key_grid, (6, 4), (3, 2))
        assert attn(torch.zeros(3, 24, 16), (6, 4), position).shape == (3, 24, 16)
