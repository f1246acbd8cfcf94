"""The weights that are shown are those that the quick path used."""

import pytest
import torch

from tnt_backbone.layers import Attention, SpatialReductionAttention, TokenPerformer
from tnt_backbone.layers.relative_position import factor_relative_position
from tnt_backbone.look.attention import attention_rows

GRID = (4, 6)


def through(attn, rows):
    """Return what an attention gives with these weights: ``weights @ v``, then ``proj``."""
    mixed = (rows.rows() @ rows.v).transpose(1, 2).flatten(2)
    return attn.proj(mixed)


def random_(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # weights far from uniform
    return module.eval()


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'qkv_bias': True},
        {'class_token_only': True},
        {'window_size': 2},
        {'window_size': 5},  # does not divide the grid
        {'window_size': 9},  # larger than the grid
    ],
    ids=str,
)
def test_weights_give_the_output_of_the_quick_path(options):
    attn = random_(Attention(24, 3, **options))
    tokens = torch.randn(2, 1 + GRID[0] * GRID[1], 24)
    with torch.no_grad():
        rows = attention_rows(attn, tokens, GRID)
        torch.testing.assert_close(through(attn, rows), attn(tokens, GRID), rtol=1e-5, atol=1e-5)
    weights = rows.rows()
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert weights.std() > 0.01


@pytest.mark.parametrize('grid', [GRID, (8, 6)], ids=['as trained', 'another size'])
@pytest.mark.parametrize('ratio', [1, 2])
def test_weights_of_pooled_keys_give_the_output_of_the_quick_path(grid, ratio):
    attn = random_(SpatialReductionAttention(24, 3, ratio))
    keys, own_keys = ((h // ratio, w // ratio) for h, w in (grid, GRID))
    table = torch.randn(1, 3, GRID[0] * GRID[1], own_keys[0] * own_keys[1])
    position = factor_relative_position(table, GRID, own_keys, grid, keys)
    tokens = torch.randn(2, grid[0] * grid[1], 24)
    with torch.no_grad():
        rows = attention_rows(attn, tokens, grid, position)
        expected = attn(tokens, grid, position)
        torch.testing.assert_close(through(attn, rows), expected, rtol=1e-5, atol=1e-5)
    assert rows.rows().shape == (2, 3, grid[0] * grid[1], keys[0] * keys[1])


@pytest.mark.parametrize('options', [{}, {'window_size': 2}], ids=str)
def test_some_rows_are_rows_of_all(options):
    attn = random_(Attention(24, 3, **options))
    rows = attention_rows(attn, torch.randn(1, 1 + GRID[0] * GRID[1], 24), GRID)
    queries = torch.tensor([7, 0, 24])
    torch.testing.assert_close(rows.rows(queries), rows.rows()[:, :, queries])


def test_sentences_of_other_windows_have_no_weight():
    attn = random_(Attention(24, 3, window_size=2))
    weights = attention_rows(attn, torch.randn(1, 1 + 4 * 4, 24), (4, 4)).rows()[0, 0]
    first = [0, 1, 2, 5, 6]  # the class token and the window in the upper left corner
    assert weights[1].nonzero().flatten().tolist() == first
    assert (weights[0] > 0).all()  # the class token reads all


def test_an_approximation_has_no_weights():
    with pytest.raises(TypeError, match='TokenPerformer'):
        attention_rows(TokenPerformer(12, 8), torch.zeros(1, 4, 12))
