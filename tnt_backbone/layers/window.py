"""Attention within windows of the grid, for large images.

As in ViTDet (https://arxiv.org/abs/2203.16527, Sec. 3), a few blocks stay global and the others
attend only within windows. The weights are those of global attention. There are two differences.
At the edge of the grid, the missing part of a window is masked; ViTDet attends to zeros there.
The class token, which ViTDet drops, attends to all sentences and is a key of all windows. So one
window that covers the grid is global attention.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.attend import attend
from .tiles import count_tiles


def attend_in_windows(
    q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int], window_size: int, drop_rate: float = 0.0
) -> Tensor:
    """Return attention within windows: each ``(B, heads, 1+N, d) -> (B, heads, 1+N, d)``.

    Args:
        q: Queries, the class token's first, then those of the grid, row by row.
        k: Keys, in the same order.
        v: Values, in the same order.
        grid: ``(h, w)`` sentences in each direction; ``N = h * w``.
        window_size: Side of a window, in sentences.
        drop_rate: Dropout of the attention weights.
    """
    batch = q.shape[0]
    window = (min(window_size, grid[0]), min(window_size, grid[1]))
    cls_token = attend(q[:, :, :1], k, v, dropout_p=drop_rate)

    windows = [_cut(tokens[:, :, 1:], grid, window) for tokens in (q, k, v)]
    q_windows, (k_windows, v_windows) = (
        windows[0],
        (
            torch.cat((_repeat(tokens[:, :, :1], cut.shape[0] // batch), cut), dim=2)
            for tokens, cut in zip((k, v), windows[1:], strict=True)
        ),
    )
    mask = None
    if grid[0] % window[0] or grid[1] % window[1]:
        inside = _cut(q.new_ones(1, 1, grid[0] * grid[1], 1), grid, window)[:, :, :, 0] > 0
        inside = F.pad(inside, (1, 0), value=True)  # the class token is a key of all windows
        mask = inside.repeat(batch, 1, 1).unsqueeze(1)  # (B*windows, 1, 1, 1+h*w)
    mixed = attend(q_windows, k_windows, v_windows, mask=mask, dropout_p=drop_rate)
    return torch.cat((cls_token, _join(mixed, grid, window)), dim=2)


def _cut(tokens: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """Return windows ``(B*windows, heads, window area, d)``, padded with zeros."""
    tokens = tokens.unflatten(2, grid)
    rows, columns = (count_tiles(n, side) for n, side in zip(grid, window, strict=True))
    bottom, right = rows * window[0] - grid[0], columns * window[1] - grid[1]
    if bottom or right:
        tokens = F.pad(tokens, (0, 0, 0, right, 0, bottom))
    tokens = tokens.unflatten(3, (-1, window[1])).unflatten(2, (-1, window[0]))
    return tokens.permute(0, 2, 4, 1, 3, 5, 6).flatten(0, 2).flatten(2, 3)


def _join(windows: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """Return the tokens of windows, the inverse of :func:`_cut`."""
    rows, columns = (count_tiles(n, side) for n, side in zip(grid, window, strict=True))
    tiles = windows.unflatten(2, window).unflatten(0, (-1, rows, columns))
    tokens = tiles.permute(0, 3, 1, 4, 2, 5, 6).flatten(4, 5).flatten(2, 3)
    return tokens[:, :, : grid[0], : grid[1]].flatten(2, 3)


def _repeat(cls_token: Tensor, windows: int) -> Tensor:
    """Return the class token once per window: ``(B*windows, heads, 1, d)``."""
    return cls_token.unsqueeze(1).expand(-1, windows, -1, -1, -1).flatten(0, 1)
