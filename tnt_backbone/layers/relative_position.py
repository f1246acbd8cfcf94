"""A dense table of relative positions at another grid, without the dense table.

PyramidTNT adds a learned table ``(heads, Nq, Nk)`` to the attention logits, one a stage. At
800x1344 pixels the resized table of PyramidTNT-S's first stage alone would hold ``4 * 16800 *
1050`` numbers.

Resizing is linear: with ``A`` the interpolation from the key grid of the table to that of the
image, the resized table is ``T A^T``, where ``T (heads, Nq', Nk)`` was resized along the queries
alone. So ``q k^T + T A^T = [q, T] [k, A]^T``: attention of longer vectors, which any fused
attention does without ever holding a matrix of ``Nq' * Nk'``. At the size that the table was made
for it is there already and is added as it is: shorter vectors, less arithmetic.

Source: ``relative_pos`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/pyramid_tnt.py,
which has no resizing. The authors' other code resizes it as a picture of flat indices, blind to
rows; here the query grid and the key grid are resized each by itself, as places. This is this
project's own way.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.constant import is_exporting

Grid = tuple[int, int]
Factors = tuple[Tensor, Tensor | None]


def factor_relative_position(
    table: Tensor, grid: Grid, key_grid: Grid, new_grid: Grid, new_key_grid: Grid
) -> Factors:
    """Resize a table on both grids, bicubically, as a product of two factors.

    Args:
        table: ``(1, heads, h*w, hk*wk)``.
        grid: ``(h, w)`` of the queries that the table was made for.
        key_grid: ``(hk, wk)`` of the keys that it was made for.
        new_grid: ``(h', w')`` that is wanted.
        new_key_grid: ``(hk', wk')`` that is wanted.

    Returns:
        Factors ``(heads, h'*w', hk*wk)`` and ``(hk'*wk', hk*wk)``; the resized table is the first
        times the second transposed. Where the keys keep their grid there is no second: the first
        is the table (but in what ``torch.export`` makes).
    """
    queries = table[0]
    if grid != new_grid:
        heads, _, num_keys = queries.shape
        maps = queries.transpose(1, 2).reshape(1, heads * num_keys, *grid)
        queries = _resize(maps, new_grid).reshape(heads, num_keys, -1).transpose(1, 2)
    # ONNX's exporter traces attention with a mask once as fused and once as plain, and fails
    if key_grid == new_key_grid and not is_exporting():
        return queries, None
    keys = torch.eye(table.shape[-1], dtype=table.dtype, device=table.device)
    if key_grid != new_key_grid:
        keys = _resize(keys.unflatten(1, key_grid).unsqueeze(0), new_key_grid)[0].flatten(1).T
    return queries, keys


def _resize(maps: Tensor, size: Grid) -> Tensor:
    precise = maps.to(torch.promote_types(maps.dtype, torch.float32))
    return F.interpolate(precise, size=size, mode='bicubic', align_corners=False).to(maps.dtype)
