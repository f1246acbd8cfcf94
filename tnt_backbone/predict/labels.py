"""Predictions as labels of a data set, to be corrected by people in their own tool."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..data_checks.findings import shorten
from ..errors import ExistingFileError, InputError
from ..log import log
from ..whole_file import write_whole

FORMS = ('coco', 'yolo')
COCO, YOLO = 'labels_coco.json', 'labels_yolo'


def write_labels(
    form: str,
    lines: Iterable[dict[str, Any]],
    classes: Sequence[str],
    folder: Path,
    *,
    force: bool = False,
) -> Path:
    """Write objects in the form that annotation tools import.

    Args:
        form: ``'coco'`` for one ``labels_coco.json``; ``'yolo'`` for ``labels_yolo/`` with a text
            file per picture and ``data.yaml``.
        lines: Of ``predictions.jsonl``: ``name``, ``height``, ``width`` and ``predictions`` each.
            Objects without a pixel are left out: tools have nothing to show of them, and YOLO would
            read their box as a polygon of two points.
        classes: Names of all classes.
        folder: Where to write.
        force: Write over labels that are other ones.

    Returns:
        The file, or the folder.

    Raises:
        FileExistsError: If there are other labels: somebody may have corrected them.
    """
    write = _write_coco if form == 'coco' else _write_yolo
    return write(_visible(lines), classes, folder, force)


def remove_labels(form: str, names: Iterable[str], folder: Path) -> None:
    """Remove the labels of an earlier run.

    Args:
        form: As for :func:`write_labels`.
        names: Of its pictures.
        folder: As for :func:`write_labels`.
    """
    if form == 'coco':
        (folder / COCO).unlink(missing_ok=True)
        return
    for name in names:
        (folder / YOLO / _yolo_place(name)).unlink(missing_ok=True)


def _require_same(place: Path, others: Sequence[str]) -> None:
    if others:
        raise ExistingFileError(
            f'{place} holds other labels than those that were predicted, maybe corrected ones, for '
            f'{len(others)} pictures ({shorten(others)}). The predictions are written. Move '
            f'{place.name} away and call the command again for the labels'
        )


def _visible(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines with those objects that have a pixel; say how many others there were."""
    left_out = 0
    for line in lines:
        inside = [_clipped(entry, line) for entry in line['predictions']]
        objects = [entry for entry in inside if _area(entry)]
        left_out += len(line['predictions']) - len(objects)
        yield {**line, 'predictions': objects}
    if left_out:
        log(f'{left_out} objects have no pixel. They are left out of the labels', logging.WARNING)


def _clipped(entry: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """Return an object with its box cut at the borders of the picture.

    Some detectors (YOLOX) find boxes that reach beyond. YOLO's tools leave out such a picture.
    """
    x, y, width, height = entry['bbox']
    left, right = (min(max(side, 0), line['width']) for side in (x, x + width))
    top, bottom = (min(max(side, 0), line['height']) for side in (y, y + height))
    box = [left, top, right - left, bottom - top]
    return {**entry, 'bbox': [round(value, 3) for value in box]}


def _write_coco(
    lines: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path, force: bool
) -> Path:
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
                    'area': _area(entry),
                    'iscrowd': 0,
                    'segmentation': entry.get('segmentation', []),
                    'score': entry['score'],
                }
            )
    categories = [{'id': i, 'name': name} for i, name in enumerate(classes, 1)]
    path = folder / COCO
    content = {'info': {}, 'images': images, 'annotations': annotations, 'categories': categories}
    if path.is_file() and not force:
        before, now = _labels_of(path.read_text(encoding='utf-8')), _labels_of(json.dumps(content))
        _require_same(path, [name for name in before if before[name] != now.get(name)])
    write_whole(path, json.dumps(content))
    return path


def _labels_of(text: str) -> dict[str, Any]:
    """Return the labels of each picture of a file in COCO's form, and its categories."""
    try:
        content = json.loads(text)
        names = {image['id']: image['file_name'] for image in content['images']}
        found: dict[str, Any] = {'its categories': content['categories']}
        found |= {name: [] for name in names.values()}
        for entry in content['annotations']:
            kept = {k: v for k, v in entry.items() if k not in ('id', 'image_id')}
            found[names[entry['image_id']]].append(kept)
    except (ValueError, KeyError, TypeError, AttributeError):  # not one of ours
        return {'its categories': None}
    return found


def _area(entry: dict[str, Any]) -> float:
    """Return the pixels of a mask, or of a box where there is none."""
    if 'segmentation' in entry:
        from pycocotools import mask

        return float(mask.area(entry['segmentation']))
    return round(entry['bbox'][2] * entry['bbox'][3], 3)


def _yolo_place(name: str) -> PurePosixPath:
    parts = (part for part in PurePosixPath(name).parts if part not in ('..', '/'))
    return PurePosixPath(*parts).with_suffix('.txt')


def _write_yolo(
    lines: Iterable[dict[str, Any]], classes: Sequence[str], folder: Path, force: bool
) -> Path:
    root = folder / YOLO
    written: dict[PurePosixPath, str] = {}
    texts: dict[PurePosixPath, str] = {}
    for line in lines:
        place = _yolo_place(line['name'])
        if other := written.get(place):
            raise InputError(
                f'{other} and {line["name"]} have the same name but for the ending, and YOLO has '
                f'one file, {place}, for both. Rename one of them, or use --as coco'
            )
        written[place] = line['name']
        texts[place] = ''.join(_yolo_rows(line))
    # JSON is YAML, and quotes any name
    names = f'names: {json.dumps(list(classes), ensure_ascii=False)}\n'
    texts[PurePosixPath('data.yaml')] = names
    if not force:
        kept = [str(place) for place, text in texts.items() if _is_other(root / place, text)]
        _require_same(root, kept)
    for place, text in texts.items():
        write_whole(root / place, text)
    return root


def _is_other(path: Path, text: str) -> bool:
    """Whether a file exists that holds another text."""
    return path.is_file() and path.read_text(encoding='utf-8', errors='replace') != text


def _yolo_rows(line: dict[str, Any]) -> Iterator[str]:
    """Yield ``class centre_x centre_y width height``, or ``class x y x y ...`` for a mask.

    All numbers are shares of the picture.
    """
    for entry in line['predictions']:
        if outline := _outline(entry):
            values = [
                share for x, y in outline for share in (x / line['width'], y / line['height'])
            ]
        else:
            x, y, w, h = entry['bbox']
            values = [(x + w / 2) / line['width'], (y + h / 2) / line['height']]
            values += [w / line['width'], h / line['height']]
        numbers = ' '.join(f'{value:.6f}' for value in values)
        yield f'{entry["category_id"] - 1} {numbers}\n'


def _outline(entry: dict[str, Any]) -> list[list[int]]:
    """Return one polygon around a mask, in corners of pixels; ``[]`` if there is no mask.

    YOLO has one polygon for an object. So several parts are joined by lines there and back, which
    enclose nothing. Holes are lost.
    """
    if 'segmentation' not in entry:
        return []
    import cv2
    from pycocotools import mask

    # Twice as large and one pixel wider, a contour through pixel centres is that of their corners.
    pixels = np.pad(mask.decode(entry['segmentation']).repeat(2, 0).repeat(2, 1), 1)
    parts, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline: list[list[int]] = []
    for part in sorted(parts, key=cv2.contourArea, reverse=True):
        points = part[:, 0] // 2
        points = points[(points != np.roll(points, 1, 0)).any(1)]
        steps = np.roll(points, -1, 0) - points
        turns = points[(steps != np.roll(steps, 1, 0)).any(1)].tolist()
        outline += [*turns, turns[0], *outline[:1]]
    return outline
