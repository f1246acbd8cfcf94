"""Resizing of position tables to another grid than the one they were learned on."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.constant import traces_any_size


def as_read(table: Tensor) -> Tensor:
    """Return a table without its graph where no gradients are computed.

    A parameter's view asks for gradients even so. ``torch.jit.trace`` compares a trace with
    gradients with one without, and takes the table as it is.
    """
    return table if torch.is_grad_enabled() or torch.jit.is_tracing() else table.detach()


def resize_position_table(
    table: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]
) -> Tensor:
    """Return a learned position table, resized: ``(1, P + h*w, C) -> (1, P + h'*w', C)``.

    The ``P`` leading rows belong to tokens without a place (class token) and are kept. The other
    rows are resized bicubically, in fp32 or more, and returned in the table's dtype. The size is
    explicit, because libraries round a scale factor differently.

    Args:
        table: The table; its rows run over the grid line by line.
        grid: ``(h, w)`` of the table.
        new_grid: ``(h', w')`` of the result.
    """
    table = as_read(table)
    # A graph for all sizes resizes always: at the same size that changes nothing.
    if not traces_any_size(*new_grid) and grid == new_grid:
        return table
    num_prefix = table.shape[1] - grid[0] * grid[1]
    prefix, positions = table[:, :num_prefix], table[:, num_prefix:]
    positions = positions.reshape(1, *grid, -1).permute(0, 3, 1, 2)  # (1, C, h, w)
    precise = positions.to(torch.promote_types(table.dtype, torch.float32))
    resized = F.interpolate(precise, size=new_grid, mode='bicubic', align_corners=False)
    resized = resized.to(table.dtype).flatten(2).transpose(1, 2)  # (1, h'*w', C)
    return torch.cat((prefix, resized), dim=1)
