"""A user's own data as Hugging Face's image folders with boxes: a line of JSON per image.

::

    DIR/train/metadata.jsonl    {"file_name": "a.jpg", "objects": {"bbox": [[x, y, w, h]], ...}}
    DIR/train/a.jpg             ... "objects": {..., "categories": [0]}, or "category": ["cat"]
    DIR/README.md               class_label: names: '0': cat

A box is its left top corner and its size in pixels (huggingface.co/docs/datasets, "Load image
data": object detection).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..data_checks.coco import has_area_of_corners
from ..data_checks.coco_file import to_box
from ..data_checks.coco_values import is_finite
from ..errors import InputError
from .data_card import titles_in_card
from .data_folder import list_files, read_text
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather

BOXES = ('bbox', 'bboxes', 'boxes')
CLASSES = ('category', 'categories', 'label', 'labels', 'category_name', 'class')


def find_hugging_face(files: list[Path]) -> list[Path]:
    """Return the files in this format."""
    listed = [file for file in files if file.suffix.lower() == '.jsonl']
    return [file for file in listed if _is_known(_first(file))]


def read_hugging_face(root: Path) -> LabelledImages:
    """Return the images and boxes of a folder.

    Raises:
        ValueError: If a line cannot be read, if the images or classes cannot be told, or if areas
            say that the boxes are corners.
    """
    files = list_files(root)
    titles = titles_in_card(root / 'README.md')
    entries = []
    for file in find_hugging_face(files):
        records = []
        for record in _records(file):
            entries.append(_entry(file, record, titles))
            records.append(record)
        _check_areas(file, records)
    numbers = {name for entry in entries for name in entry.names if name.isdecimal()}
    only_numbers = not titles and numbers == {name for entry in entries for name in entry.names}
    classes = sorted(numbers, key=int) if only_numbers else list(titles.values())
    data = gather(root, entries, classes=classes)
    data.form = 'corner and size, in pixels'
    return data


def _check_areas(file: Path, records: list[dict[str, Any]]) -> None:
    """Check that the areas in a file, if it has some, are not those of corners."""
    pairs = [
        (box, area)
        for objects in (_columns(record['objects']) for record in records if _is_known(record))
        for box, area in zip(
            next(objects[key] for key in BOXES if key in objects) or (),
            objects.get('area') or (),
            strict=False,
        )
    ]
    corners = [box for box, area in pairs if to_box(box) and has_area_of_corners(box, area)]
    if len(corners) > len(pairs) / 2:
        raise InputError(
            f'{file}: the areas of {len(corners)} of {len(pairs)} boxes, such as {corners[0]}, are '
            'right only if these are [x1, y1, x2, y2]. What is wanted: [x, y, width, height] in '
            'pixels. Convert them'
        )


def _records(file: Path) -> Iterator[Any]:
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            raise InputError(f'{file}, line {number}: no JSON ({error}). Correct it') from error


def _first(file: Path) -> Any:
    """Return the first record, or nothing if the file is something else."""
    try:
        return next(_records(file), None)
    except InputError:
        return None


def _is_known(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get('file_name'), str)
        and isinstance(objects := _columns(record.get('objects')), dict)
        and any(key in objects for key in BOXES)
    )


def _columns(objects: Any) -> Any:
    """Return a list for each key of a list of objects; what is no such list stays.

    Of ``datasets``, a list of features becomes ``[{"bbox": ..., "category": ...}, ...]``.
    """
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        return objects
    keys = list(dict.fromkeys(key for one in objects for key in one))
    return {key: [one.get(key) for one in objects] for key in keys or BOXES[:1]}


def _entry(file: Path, record: Any, titles: dict[str, str]) -> Listed:
    if not _is_known(record):
        raise InputError(f'{file}: no file_name, or no objects with a bbox, in {str(record)[:120]}')
    objects = _columns(record['objects'])
    boxes = next(objects[key] for key in BOXES if key in objects) or []
    classes: Any = next((objects[key] for key in CLASSES if key in objects), None if boxes else [])
    if not isinstance(classes, list) or len(classes) != len(boxes):
        raise InputError(
            f'{file}: objects of {record["file_name"]} have {len(boxes)} boxes, and not as many '
            f'classes. What is wanted: one of {", ".join(CLASSES)}, with a class for each box'
        )
    names = [titles.get(str(name), str(name)).strip() for name in classes]

    def read(_size: Size) -> Labels:
        return Labels([_shape(name, box) for name, box in zip(names, boxes, strict=True)])

    return Listed(file, record['file_name'], read, names)


def _shape(name: str, box: Any) -> Shape:
    numbers = [float(v) for v in box if is_finite(v) and v is not None] if box else []
    if len(numbers) != 4 or min(numbers[2:]) < 0:
        raise InputError(f'no x, y, width, height that are numbers: {str(box)[:120]}')
    x, y, width, height = numbers
    return Shape(name, (x, y, x + width, y + height))
