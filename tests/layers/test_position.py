"""Position tables at other grids."""

import timm.layers
import torch

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
