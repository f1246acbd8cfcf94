"""Boxes of pictures from a file: COCO's annotations, or ``predictions.json`` of ``tnt predict``."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, MissingFileError


@dataclass(frozen=True)
class Boxes:
    """Boxes of one picture.

    Attributes:
        boxes: ``(n, 4)``: x1, y1, x2, y2 in pixels of the file, float32.
        scores: ``(n,)``, float32; 1 for annotations.
        names: The class of each box.
        size: Height and width of the picture that the boxes were drawn on, if the file says it.
    """

    boxes: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]
    size: tuple[int, int] | None = None

    @classmethod
    def none(cls) -> 'Boxes':
        """Return no boxes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), ())


def read_boxes(path: str | Path) -> dict[str, Boxes]:
    """Return the boxes of a file by the name of their picture.

    Args:
        path: COCO's annotations (a dict with ``images``, ``annotations`` and ``categories``), or a
            list of entries with ``file_name``, ``bbox`` and ``category``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else, or a box has no area.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'--boxes {path}: there is no such file')
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        entries = _of_coco(content) if isinstance(content, Mapping) else content
        sizes = _sizes_of(content) if isinstance(content, Mapping) else {}
        rows: dict[str, list[tuple[list[float], float, str]]] = defaultdict(list)
        for entry in entries:
            x, y, width, height = (float(value) for value in entry['bbox'])
            box = [x, y, x + width, y + height]
            if not (width > 0 and height > 0 and np.isfinite(box).all()):
                raise InputError(
                    f'--boxes {path}: a box of {entry["file_name"]} is {entry["bbox"]} (x, y, '
                    'width, height) and has no area. Correct the file; tnt check finds such boxes'
                )
            name = str(entry.get('category', ''))
            rows[str(entry['file_name'])].append((box, float(entry.get('score', 1.0)), name))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f'--boxes {path} is neither a COCO file nor predictions.json of tnt predict '
            f'({type(error).__name__}: {error})'
        ) from error
    return {
        name: Boxes(
            np.array([box for box, _, _ in found], np.float32),
            np.array([score for _, score, _ in found], np.float32),
            tuple(label for _, _, label in found),
            sizes.get(name),
        )
        for name, found in rows.items()
    }


def _of_coco(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = {image['id']: image['file_name'] for image in content['images']}
    names = {entry['id']: entry['name'] for entry in content.get('categories', [])}
    return [
        {
            'file_name': files[entry['image_id']],
            'bbox': entry['bbox'],
            'category': names[entry['category_id']],
        }
        for entry in content['annotations']
        if not entry.get('iscrowd')
    ]


def _sizes_of(content: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return height and width of the pictures whose entries have them; some tools write zeros."""
    return {
        str(image['file_name']): (int(image['height']), int(image['width']))
        for image in content['images']
        if image.get('height') and image.get('width')
    }
