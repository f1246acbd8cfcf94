"""PyramidTNT's relative positions at another grid, without a dense table of that grid.

In each stage PyramidTNT adds a learned table ``(heads, Nq, Nk)`` to the attention logits. At
800x1344 pixels the resized table of PyramidTNT-S's first stage would hold ``4 * 16800 * 1050``
numbers.

Resizing is linear: with ``A`` the interpolation from the key grid of the table to that of the
image, the resized table is ``T A^T``, where ``T (heads, Nq', Nk)`` was resized only along the
queries. So ``q k^T + T A^T = [q, T] [k, A]^T``. This is attention of longer vectors, which fused
attention computes without a matrix of ``Nq' * Nk'`` numbers. At the size of the table itself, the
table is added as it is: vectors are shorter and there is less arithmetic.

Source: ``relative_pos`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/pyramid_tnt.py,
which has no resizing. The authors' other code resizes the table as a picture of flat indices and
ignores the rows of the grids. This project resizes the query grid and the key grid separately.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.constant import is_exporting, traces_any_size
from .position import as_read

Grid = tuple[int, int]
Factors = tuple[Tensor, Tensor | None]


def factor_relative_position(
    table: Tensor, grid: Grid, key_grid: Grid, new_grid: Grid, new_key_grid: Grid
) -> Factors:
    """Return a table, resized bicubically on both grids, as two factors.

    Args:
        table: ``(1, heads, h*w, hk*wk)``.
        grid: ``(h, w)`` of the table's queries.
        key_grid: ``(hk, wk)`` of the table's keys.
        new_grid: ``(h', w')`` of the result's queries.
        new_key_grid: ``(hk', wk')`` of the result's keys.

    Returns:
        Factors ``(heads, h'*w', hk*wk)`` and ``(hk'*wk', hk*wk)``; the resized table is the first
        times the transposed second. If the keys keep their grid, the second is ``None`` and the
        first is the table, except in what ``torch.export`` makes.
    """
    table = as_read(table)
    queries = table[0]
    # One comparison, so that torch.compile makes two graphs, and not one for each that may differ.
    is_same = not (is_exporting() and traces_any_size(*new_grid)) and (
        sum(abs(a - b) for a, b in zip((*grid, *key_grid), (*new_grid, *new_key_grid), strict=True))
        == 0
    )
    if not is_same:
        heads, _, num_keys = queries.shape
        maps = queries.transpose(1, 2).reshape(1, heads * num_keys, *grid)
        queries = _resize(maps, new_grid).reshape(heads, num_keys, -1).transpose(1, 2)
    # ONNX's exporter traces attention with a mask once as fused and once as plain, and fails
    if is_same and not is_exporting():
        return queries, None
    keys = torch.eye(table.shape[-1], dtype=table.dtype, device=table.device)
    if not is_same:
        keys = _resize(keys.unflatten(1, key_grid).unsqueeze(0), new_key_grid)[0].flatten(1).T
    return queries, keys


def _resize(maps: Tensor, size: Grid) -> Tensor:
    precise = maps.to(torch.promote_types(maps.dtype, torch.float32))
    return F.interpolate(precise, size=size, mode='bicubic', align_corners=False).to(maps.dtype)
