"""Files in COCO's format, each read and validated once for all readers."""

import functools
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .coco_values import SECTIONS, Entry, find_fault, is_finite
from .findings import shorten
from .foreign_formats import name_content, name_file

HOW_TO_CORRECT = (
    'Export the file again, or let tnt new --data FILE write a corrected copy of what '
    'it can correct (docs/datasets.md)'
)


@dataclass(frozen=True, eq=False)
class CocoFile:
    """The content of a file. Do not change it: all readers share it.

    Attributes:
        path: The file.
        content: Everything in it, as it was read.
        images: The images by their ids.
        boxes: The annotations; none in a file without that list.
        categories: The categories.
        is_annotated: Whether there is a list of annotations; COCO's test sets have none.
        is_plain: Whether it is UTF-8 without a byte order mark; MMDetection fails at others.
    """

    path: str
    content: dict[str, Any]
    images: dict[Any, Entry]
    boxes: list[Entry]
    categories: list[Entry]
    is_annotated: bool
    is_plain: bool = True

    @property
    def names(self) -> list[str]:
        """Return the names of the categories, in the order of the file."""
        return [category['name'] for category in self.categories]

    def require_annotations(self) -> None:
        """Refuse a file without a list of annotations.

        Raises:
            ValueError: If it has none.
        """
        if not self.is_annotated:
            raise InputError(_no_list(self.path, 'annotations', self.content))


def read_coco(path: str | Path) -> CocoFile:
    """Return the content of a file; one that has not changed since is not read again.

    Raises:
        ValueError: If it is not JSON, or not in COCO's format.
        FileNotFoundError: If there is no such file.
    """
    state = Path(path).stat()
    return _read(str(path), state.st_mtime_ns, state.st_size)


def load_json(path: str | Path) -> tuple[Any, bool]:
    """Return what a JSON file holds, and whether it is UTF-8 without a byte order mark.

    A file that has not changed since is not parsed again. Nobody may change what is returned.

    Raises:
        ValueError: If it is not JSON.
        FileNotFoundError: If there is no such file.
    """
    state = Path(path).stat()
    return _load(str(path), state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=4)
def _load(path: str, *_state: int) -> tuple[Any, bool]:
    data = Path(path).read_bytes()
    try:
        return json.loads(data), json.detect_encoding(data) == 'utf-8'
    except (ValueError, RecursionError) as error:  # the last is of lists in lists in lists
        known = name_file(Path(path))
        hint = f'It is {known}' if known else 'Download or write it again'
        raise InputError(f'{path} is not JSON ({error}). {hint}') from error


def forget_coco_files() -> None:
    """Free the memory of what was read: COCO's training boxes take a gigabyte."""
    _read.cache_clear()
    _load.cache_clear()


@functools.lru_cache(maxsize=4)
def _read(path: str, *state: int) -> CocoFile:
    content, is_plain = _load(path, *state)
    is_annotated = isinstance(content, dict) and 'annotations' in content
    for section in SECTIONS:
        if section == 'annotations' and isinstance(content, dict) and not is_annotated:
            continue
        if not isinstance(content, dict) or not isinstance(content.get(section), list):
            raise InputError(_no_list(path, section, content))
        if fault := find_fault(section, content[section]):
            known = name_content(content)
            hint = f'It is in the format of {known}' if known else HOW_TO_CORRECT
            raise InputError(f'{path}: {fault}. {hint}')
    boxes = content['annotations'] if is_annotated else []
    for section, entries in ((name, content.get(name, ())) for name in SECTIONS):
        times = Counter(entry['id'] for entry in entries)
        if repeated := [key for key, number in times.items() if number > 1]:
            raise InputError(
                f'{path}: {len(repeated)} ids of "{section}" occur more than once '
                f'({shorten(repeated)}), and only the last of each would be read. {HOW_TO_CORRECT}'
            )
    if broken := [
        box['id']
        for box in boxes
        if to_box(box['bbox']) is None or to_box(box['bbox']) != box['bbox']
    ]:
        raise InputError(
            f'{path}: the bbox of {len(broken)} annotations is not four finite numbers, '
            f'[x, y, width, height] in pixels (annotation ids {shorten(broken)}). {HOW_TO_CORRECT}'
        )
    images = {image['id']: image for image in content['images']}
    return CocoFile(path, content, images, boxes, content['categories'], is_annotated, is_plain)


def _no_list(path: str, section: str, content: Any) -> str:
    found = sorted(content)[:6] if isinstance(content, dict) else type(content).__name__
    known = name_content(content)
    hint = f'It is in the format of {known}' if known else 'See docs/datasets.md'
    return f'{path} is not in COCO format: it has no list "{section}" (found: {found}). {hint}'


def to_box(bbox: Any) -> list[float] | None:
    """Return four finite numbers, also if they were written as texts; else ``None``."""
    if not isinstance(bbox, list | tuple) or len(bbox) != 4:
        return None
    try:
        numbers = [value if isinstance(value, int | float) else float(value) for value in bbox]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(is_finite, numbers)) else None
