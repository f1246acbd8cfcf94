"""Position tables at another grid than the one they were learned on."""

import torch
from torch import Tensor
from torch.nn import functional as F


def resize_position_table(
    table: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]
) -> Tensor:
    """Resize a learned position table: ``(1, P + h*w, C) -> (1, P + h'*w', C)``.

    The ``P`` leading rows belong to tokens without a place (the class token) and are kept. The rest
    is resized bicubically to an explicit size (a scale factor is rounded differently by different
    libraries), in fp32 at least, and returned in the table's dtype.

    Args:
        table: The table; its rows run over the grid line by line.
        grid: ``(h, w)`` that the table was made for.
        new_grid: ``(h', w')`` that is wanted.
    """
    if grid == new_grid:
        return table
    num_prefix = table.shape[1] - grid[0] * grid[1]
    prefix, positions = table[:, :num_prefix], table[:, num_prefix:]
    positions = positions.reshape(1, *grid, -1).permute(0, 3, 1, 2)  # (1, C, h, w)
    precise = positions.to(torch.promote_types(table.dtype, torch.float32))
    resized = F.interpolate(precise, size=new_grid, mode='bicubic', align_corners=False)
    resized = resized.to(table.dtype).flatten(2).transpose(1, 2)  # (1, h'*w', C)
    return torch.cat((prefix, resized), dim=1)
