"""Dropout of attention weights, on every way through attention."""

import pytest
import torch
from torch import nn

from tnt_backbone.layers import Attention, SpatialReductionAttention, factor_relative_position

GRID = (6, 6)


def ones_for_values(linear, dims):
    """Let equal queries meet equal keys, and let all values be 1: attention returns 1."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    nn.init.ones_(linear.bias[-dims:])


def attention(**options):
    attn = Attention(64, 2, qkv_bias=True, attn_drop_rate=0.5, **options)
    ones_for_values(attn.qkv, 64)
    nn.init.eye_(attn.proj.weight)
    nn.init.zeros_(attn.proj.bias)
    return lambda tokens: attn(tokens, GRID), attn


def reduced(sr_ratio, own_size):
    attn = SpatialReductionAttention(64, 2, sr_ratio, qkv_bias=True, attn_drop_rate=0.5)
    ones_for_values(attn.kv, 64)
    nn.init.zeros_(attn.q.weight)
    nn.init.eye_(attn.proj.weight)
    nn.init.zeros_(attn.proj.bias)
    grid = GRID if own_size else (4, 4)
    keys, new_keys = ((side // sr_ratio,) * 2 for side in (grid[0], GRID[0]))
    table = torch.zeros(1, 2, grid[0] * grid[1], keys[0] * keys[1])
    position = factor_relative_position(table, grid, keys, GRID, new_keys)
    return lambda tokens: attn(tokens[:, 1:], GRID, position), attn


WAYS = {
    'global': lambda: attention(),
    'only the class token': lambda: attention(class_token_only=True),
    'windows': lambda: attention(window_size=3),
    'windows that the grid does not fill': lambda: attention(window_size=4),
    'reduced keys': lambda: reduced(2, own_size=True),
    'reduced keys, table of another size': lambda: reduced(2, own_size=False),
}


@pytest.mark.parametrize('way', WAYS.values(), ids=WAYS)
def test_attention_weights_are_dropped_only_in_training(way):
    torch.manual_seed(0)
    run, module = way()
    tokens = torch.randn(64, 1 + GRID[0] * GRID[1], 64)
    dropped = run(tokens).unflatten(2, (2, 32))[..., 0]  # one number for each query and head
    torch.testing.assert_close(dropped.mean(), torch.tensor(1.0), atol=0.05, rtol=0)
    assert (dropped.flatten(0, 0).std(dim=(0, 2)) > 0.05).all(), 'of each query'
    module.eval()
    torch.testing.assert_close(run(tokens), torch.ones_like(run(tokens)))
