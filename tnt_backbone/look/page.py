"""One HTML file in which one clicks a point and sees what is read there; it needs no network."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..whole_file import write_whole
from .figures import colour_table
from .heat import HeatMap
from .maps import AttentionMaps
from .network_input import NetworkInput

LARGEST_HEAT = 256  # pixels of the longer side of a stored heat map, which is smooth


def write_page(
    path: Path,
    seen: NetworkInput,
    maps: Sequence[AttentionMaps],
    heats: Sequence[HeatMap],
    *,
    point: tuple[int, int],
    model: str,
    backbone: str,
    notes: Sequence[str] = (),
    sheets: Sequence[tuple[str, str, Path]] = (),
) -> None:
    """Write the page.

    Names come from files and checkpoints. The template escapes them.

    Args:
        path: The file; it is replaced as a whole.
        seen: The picture.
        maps: Of each block that can be chosen.
        heats: Of each prediction.
        point: ``(x, y)`` that is chosen at first.
        model: Name of the model.
        backbone: Name of the backbone.
        notes: What the reader should know.
        sheets: Title, text and PNG file of each further picture.
    """
    import jinja2

    height, width = seen.pixels.shape[:2]
    start = 'heat0' if heats else 'sentences' if maps else 'picture'
    data = {
        'width': width,
        'height': height,
        'picture': _picture(seen.pixels),
        'colours': _text(colour_table()),
        'start': {'block': len(maps) - 1, 'view': start, 'point': list(point)},
        'blocks': [_block(entry) for entry in maps],
        'heats': [_heat(entry) for entry in heats],
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(Path(__file__).with_name('page.html').read_text('utf-8'))
    shown = [
        {
            'title': title,
            'text': text,
            'image': 'data:image/png;base64,' + base64.b64encode(file.read_bytes()).decode(),
        }
        for title, text, file in sheets
    ]
    content = template.render(
        name=seen.name,
        model=model,
        backbone=backbone,
        width=width,
        height=height,
        notes=notes,
        sheets=shown,
        data=data,
    )
    write_whole(path, content)


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _picture(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG', quality=90, subsampling=0)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()


def _weights(rows: np.ndarray) -> dict[str, str]:
    """Return rows of weights as bytes: each is a share of the largest of its row, times 255."""
    rows = rows.reshape(-1, rows.shape[-1])
    largest = rows.max(axis=1, keepdims=True)
    shares = rows / np.maximum(largest, np.finfo(np.float32).tiny)
    return {
        'weights': _text(np.round(shares * 255).astype(np.uint8)),
        'largest': _text(largest.astype('<f4')),
    }


def _block(entry: AttentionMaps) -> dict[str, Any]:
    keys = entry.block.key_grid[0] * entry.block.key_grid[1]
    class_token = entry.class_token
    return {
        'name': entry.block.name,
        'grid': entry.block.grid,
        'keyGrid': entry.block.key_grid,
        'stride': entry.block.stride,
        'side': entry.block.side,
        'hasClassToken': entry.class_token is not None,
        'rows': entry.rows.tolist(),
        'columns': entry.columns.tolist(),
        'sentences': _weights(entry.sentences.reshape(-1, keys)) if entry.sentences.size else None,
        'toClass': _text(entry.to_class.astype('<f4')),
        'classToken': None if class_token is None else _weights(class_token.reshape(1, keys)),
        'words': None if entry.words is None else _weights(entry.words),
    }


def _heat(entry: HeatMap) -> dict[str, Any]:
    longest = max(entry.heat.shape)
    image = Image.fromarray(np.round(entry.heat * 255).astype(np.uint8))
    if longest > LARGEST_HEAT:
        size = [max(1, side * LARGEST_HEAT // longest) for side in image.size]
        image = image.resize((size[0], size[1]), Image.Resampling.BOX)
    return {
        'title': entry.title,
        'width': image.width,
        'height': image.height,
        'values': _text(np.asarray(image)),
        'boxes': entry.boxes.round(2).tolist(),
    }
