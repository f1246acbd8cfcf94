"""What a backbone's position tables hold: which places they make alike."""

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from ..backbones import PyramidTNT
from ..backbones.base import TokenBackbone

MOST_PLACES = 7  # that are shown of a table, in each direction


def position_pictures(backbone: TokenBackbone) -> list[tuple[str, np.ndarray]]:
    """Return a title and a picture ``(H, W)`` per table; each cell of a picture is a map.

    For absolute positions, the map of a place is its cosine with all places. For PyramidTNT's
    relative positions, it is what is added to the logits of a place, the mean over the heads.
    """
    found = []
    table: Any = getattr(backbone, backbone.POSITION_TABLE, None)
    if table is not None:
        number = backbone.grid[0] * backbone.grid[1]
        cosines = _cosines(table[0, -number:])
        title = f'Positions of sentences, {_size(backbone.grid)}: cosine'
        found.append((title, _mosaic(cosines, backbone.grid, backbone.grid)))
    if (words := getattr(backbone, 'word_pos', None)) is not None:
        side = round(words.shape[1] ** 0.5)
        title = f'Positions of words in a sentence, {side} x {side}: cosine'
        found.append((title, _mosaic(_cosines(words[0]), (side, side), (side, side))))
    if isinstance(backbone, PyramidTNT):
        stage: Any
        for i, stage in enumerate(backbone.stages):
            keys = stage._key_grid(stage.grid)
            title = f'Relative positions of stage {i}, {_size(stage.grid)} to {_size(keys)}: logits'
            mean = stage.relative_pos.detach()[0].float().mean(dim=0)
            found.append((title, _mosaic(mean, stage.grid, keys)))
    return found


def _size(grid: tuple[int, int]) -> str:
    return f'{grid[0]} x {grid[1]}'


def _cosines(table: Tensor) -> Tensor:
    rows = F.normalize(table.detach().float(), dim=1)
    return rows @ rows.T


def _mosaic(values: Tensor, grid: tuple[int, int], keys: tuple[int, int]) -> np.ndarray:
    """Return ``(N, N')`` as a mosaic of at most 7x7 maps with thin lines of NaN between them."""
    shown = [
        np.unique(np.linspace(0, n - 1, min(n, MOST_PLACES)).round().astype(int)) for n in grid
    ]
    maps = values.cpu().numpy().reshape(*grid, *keys)[np.ix_(*shown)]
    framed = np.pad(maps, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    mosaic = framed.transpose(0, 2, 1, 3).reshape(len(shown[0]) * (keys[0] + 1), -1)
    return mosaic[:-1, :-1]
