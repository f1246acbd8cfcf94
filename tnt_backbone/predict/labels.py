"""Predictions as labels of a data set, to be corrected by people in their own tool."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..whole_file import write_whole

FORMS = ('coco', 'yolo')


def write_labels(
    form: str, lines: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path
) -> Path:
    """Write objects in the form that annotation tools import.

    Args:
        form: ``'coco'`` for one ``labels_coco.json``; ``'yolo'`` for ``labels_yolo/`` with a text
            file per picture and ``data.yaml``.
        lines: Of ``predictions.jsonl``: ``name``, ``height``, ``width`` and ``predictions`` each.
        classes: Names of all classes.
        folder: Where to write.

    Returns:
        The file, or the folder.
    """
    return (_write_coco if form == 'coco' else _write_yolo)(lines, classes, folder)


def _write_coco(lines: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path) -> Path:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        size = {'height': line['height'], 'width': line['width']}
        images.append({'id': number, 'file_name': line['name'], **size})
        for entry in line['predictions']:
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': number,
                    'category_id': entry['category_id'],
                    'bbox': entry['bbox'],
                    'area': round(entry['bbox'][2] * entry['bbox'][3], 3),
                    'iscrowd': 0,
                    'segmentation': entry.get('segmentation', []),
                    'score': entry['score'],
                }
            )
    categories = [{'id': i, 'name': name} for i, name in enumerate(classes, 1)]
    path = folder / 'labels_coco.json'
    content = {'info': {}, 'images': images, 'annotations': annotations, 'categories': categories}
    write_whole(path, json.dumps(content))
    return path


def _write_yolo(lines: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path) -> Path:
    root = folder / 'labels_yolo'
    for line in lines:
        path = root / PurePosixPath(line['name']).with_suffix('.txt')
        write_whole(path, ''.join(_yolo_rows(line)))
    # JSON is YAML, and quotes any name
    write_whole(root / 'data.yaml', f'names: {json.dumps(list(classes), ensure_ascii=False)}\n')
    return root


def _yolo_rows(line: dict[str, Any]) -> Iterator[str]:
    """Yield ``class centre_x centre_y width height``, as shares of the picture."""
    for entry in line['predictions']:
        x, y, w, h = entry['bbox']
        shares = (x + w / 2) / line['width'], (y + h / 2) / line['height']
        sides = w / line['width'], h / line['height']
        numbers = ' '.join(f'{value:.6f}' for value in (*shares, *sides))
        yield f'{entry["category_id"] - 1} {numbers}\n'
