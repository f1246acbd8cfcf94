"""A user's own data in Apple CreateML's format: one JSON file that lists images with their boxes.

::

    DIR/train/_annotations.createml.json   DIR/train/a.jpg   DIR/valid/...      Roboflow
    DIR/annotations.json                   DIR/a.jpg                            CreateML, RectLabel

A box is its centre and size in pixels (developer.apple.com, "Building an object detector data
source").
"""

from pathlib import Path
from typing import Any

from ..data_checks.coco_values import is_finite
from ..data_checks.foreign_formats import is_createml
from ..errors import InputError
from .coco_folder import read_json
from .data_folder import list_files
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather

KEYS = ('x', 'y', 'width', 'height')


def find_createml(files: list[Path]) -> list[Path]:
    """Return the files in this format."""
    listed = [file for file in files if file.suffix.lower() == '.json']
    return [file for file in listed if is_createml(read_json(file))]


def read_createml(root: Path) -> LabelledImages:
    """Return the images and boxes of a folder.

    Raises:
        ValueError: If the images or classes cannot be told.
    """
    entries = [
        _entry(file, record)
        for file in find_createml(list_files(root))
        for record in read_json(file)
    ]
    data = gather(root, entries)
    data.form = 'centre and size, in pixels'
    return data


def _entry(file: Path, record: dict[str, Any]) -> Listed:
    marked = record.get('annotations', record.get('annotation'))
    marked = marked if isinstance(marked, list) else [marked] if marked else []
    name = str(record.get('image', record.get('imagefilename')))

    def read(_size: Size) -> Labels:
        return Labels([_shape(entry) for entry in marked])

    return Listed(file, name, read, [_label(entry) for entry in marked if _label(entry)])


def _label(entry: Any) -> str:
    label = entry.get('label') if isinstance(entry, dict) else None
    return label.strip() if isinstance(label, str) else ''


def _shape(entry: Any) -> Shape:
    place = entry.get('coordinates') if isinstance(entry, dict) else None
    place = place if isinstance(place, dict) else {}
    numbers = [float(v) for key in KEYS if is_finite(v := place.get(key)) and v is not None]
    if not _label(entry) or len(numbers) != len(KEYS) or min(numbers[2:]) < 0:
        raise InputError(
            f'no label, or no x, y, width, height that are numbers, in {str(entry)[:120]}'
        )
    x, y, width, height = numbers
    return Shape(_label(entry), (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
