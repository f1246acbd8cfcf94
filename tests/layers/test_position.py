"""Position tables at other grids."""

import timm.layers
import torch
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.layers import resize_position_table


def test_same_grid_returns_the_table_itself():
    table = torch.randn(1, 1 + 6, 8)
    assert resize_position_table(table, (2, 3), (2, 3)) is table


def test_agrees_with_timm():
    """Timm resizes for fine-tuning; without antialiasing both are plain bicubic."""
    table = torch.randn(1, 1 + 14 * 14, 8, generator=torch.Generator().manual_seed(0))
    for new_grid in [(24, 24), (50, 84), (7, 9), (1, 1), (13, 14)]:
        theirs = timm.layers.resample_abs_pos_embed(table, new_grid, (14, 14), antialias=False)
        torch.testing.assert_close(resize_position_table(table, (14, 14), new_grid), theirs)


def test_half_precision_is_resized_in_fp32():
    table = torch.randn(1, 1 + 4, 8, generator=torch.Generator().manual_seed(0)).half()
    resized = resize_position_table(table, (2, 2), (5, 7))
    assert resized.dtype == torch.float16
    exact = resize_position_table(table.float(), (2, 2), (5, 7))
    torch.testing.assert_close(resized.float(), exact, atol=1e-3, rtol=1e-3)


sides = st.integers(1, 9)
grids = st.tuples(sides, sides)


def random_table(grid, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1 + grid[0] * grid[1], 3, generator=generator, dtype=torch.float64)


@given(grid=grids, times=st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5])))
def test_there_and_back_is_the_table_where_centres_meet(grid, times):
    """An odd multiple of a grid has a cell in the middle of each of the grid's."""
    table, larger = random_table(grid), (grid[0] * times[0], grid[1] * times[1])
    there = resize_position_table(table, grid, larger)
    assert there.shape == (1, 1 + larger[0] * larger[1], 3)
    torch.testing.assert_close(resize_position_table(there, larger, grid), table)


@given(grid=grids, new_grid=grids)
def test_resizing_is_linear_keeps_constants_and_knows_rows_from_columns(grid, new_grid):
    first, second = random_table(grid), random_table(grid, seed=1)

    def resize(table):
        return resize_position_table(table, grid, new_grid)

    torch.testing.assert_close(resize(first + 2 * second), resize(first) + 2 * resize(second))
    torch.testing.assert_close(resize(torch.ones_like(first)), torch.ones_like(resize(first)))
    assert torch.equal(resize(first)[:, 0], first[:, 0]), 'the class token has no place'

    def turn(table, grid):
        placed = table[:, 1:].unflatten(1, grid).transpose(1, 2).flatten(1, 2)
        return torch.cat((table[:, :1], placed), dim=1)

    turned = resize_position_table(turn(first, grid), grid[::-1], new_grid[::-1])
    torch.testing.assert_close(turned, turn(resize(first), new_grid))
