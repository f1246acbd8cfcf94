"""What describes data in YOLO's format: ``data.yaml``, darknet's ``obj.data``, or class names.

The rules are those of Ultralytics' documentation (docs.ultralytics.com/datasets/detect) and of
darknet's README.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..data_checks.findings import shorten
from ..errors import InputError
from .class_names import check_class_names, read_class_names
from .data_folder import list_files, read_text

YAML = ('.yaml', '.yml')
KEYS = {'train': ('train',), 'val': ('val', 'valid', 'validation'), 'test': ('test',)}
DIGITS = 6  # of a number of classes or keypoints
CLASS_FILES = ('classes.txt', 'obj.names', '_darknet.labels')


@dataclass
class Description:
    """What a data set says about itself.

    Attributes:
        place: The file that says it.
        names: The classes by their numbers, in this order.
        folders: Where paths may start, the likeliest first.
        splits: Folders, or text files that list images, of each split, as they are written; none if
            the file does not say it.
        keypoints: How many numbers for keypoints follow the box in a row; ``None`` if rows have
            boxes or polygons.
    """

    place: Path
    names: dict[int, str]
    folders: list[Path]
    splits: dict[str, list[str]]
    keypoints: int | None = None


def find_descriptions(files: list[Path]) -> list[Path]:
    """Return the files of a folder that describe a data set."""
    return [file for file in files if file.suffix.lower() == '.data' or _is_data_yaml(file)]


def _is_data_yaml(path: Path) -> bool:
    if path.suffix.lower() not in YAML:
        return False
    try:
        content = _load(path)
    except ValueError:
        return path.stem == 'data'
    return 'names' in content or {'train', 'val'} <= set(content)


def describe(root: Path) -> Description:
    """Return what is said about a data set.

    Args:
        root: Its folder, or the file that describes it.

    Raises:
        ValueError: If nothing names the classes, or several files do.
    """
    if root.is_file():
        return _read_description(root)
    files = list_files(root)
    found = find_descriptions(files)
    if len(found) > 1:
        raise InputError(
            f'--data {root} has several files that describe a data set: {shorten(found, 8)}. Pass '
            'the one to use as --data'
        )
    if found:
        return _read_description(found[0])
    return _from_class_file(root, files)


def _from_class_file(root: Path, files: list[Path]) -> Description:
    listed = [f for f in files if f.name.lower() in CLASS_FILES or f.suffix.lower() == '.names']
    if not listed:
        raise InputError(
            f'--data {root} has no names of classes: no data.yaml, no {", no ".join(CLASS_FILES)}. '
            f'Write {root / "classes.txt"} with one name per line, class 0 first'
        )
    names = {file: read_class_names(file) for file in listed}
    if len({tuple(found) for found in names.values()}) > 1:
        raise InputError(f'The names of classes differ in {shorten(listed, 8)}. Keep one file')
    return Description(listed[0], dict(enumerate(names[listed[0]])), [root], {})


def _read_description(path: Path) -> Description:
    content = _load(path) if path.suffix.lower() in YAML else _load_darknet(path)
    folders = [path.parent]
    if isinstance(stated := content.get('path'), str) and stated:
        base = path.parent / stated.replace('\\', '/')
        if os.path.isdir(base):  # else it is of another computer
            folders.insert(0, base)
    splits = {
        split: listed
        for split, keys in KEYS.items()
        for key in keys
        if (listed := _to_list(content.get(key), f'{path}: {key}'))
    }
    names = _names(content, path, folders)
    return Description(path, names, folders, splits, _keypoints(content, path))


def _names(content: dict[str, Any], path: Path, folders: list[Path]) -> dict[int, str]:
    """Return the names of a list, of a dict of numbers and names, or of darknet's file."""
    names, count = content.get('names'), content.get('nc', content.get('classes'))
    if isinstance(names, str) and path.suffix.lower() not in YAML:
        file = resolve(names, folders)
        if file is None:
            raise InputError(f'{path}: names={names} was not found. Correct the path')
        names = read_class_names(file)
    if names is None and _is_count(count):
        names = [f'class_{number}' for number in range(int(str(count)))]  # Ultralytics' names
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(map(_is_count, names)):
        raise InputError(
            f'{path}: names is {_short(names)}. Write a list with one name per class, or a number '
            'and a name for each'
        )
    if other := [name for name in names.values() if not isinstance(name, str)]:
        raise InputError(f'{path}: a name is {_short(other[0])}. Write a text for each class')
    by_number = {int(number): name.strip() for number, name in names.items()}
    if len(by_number) < len(names):
        raise InputError(f'{path}: names has two names for one number. Keep one')
    check_class_names(list(by_number.values()), path)
    if count is not None and not (_is_count(count) and int(str(count)) == len(by_number)):
        given = count if _is_count(count) else _short(count)
        raise InputError(f'{path}: nc is {given}, but names has {len(by_number)}. Make them equal')
    return dict(sorted(by_number.items()))


def _is_count(value: Any) -> bool:
    """Return whether a text or number is a whole number that classes can have."""
    text = str(value) if isinstance(value, str | int) else ''
    return text.isascii() and text.isdigit() and len(text) <= DIGITS


def _short(value: Any, levels: int = 2) -> str:
    """Return a value for a message: aliases of YAML can stand for a text without end."""
    if isinstance(value, dict | list) and not levels:
        return '...'
    if isinstance(value, dict):
        pairs = [f'{_short(k, 0)}: {_short(v, levels - 1)}' for k, v in list(value.items())[:4]]
        return '{' + ', '.join(pairs) + (', ...}' if len(value) > 4 else '}')
    if isinstance(value, list):
        parts = [_short(entry, levels - 1) for entry in value[:4]]
        return '[' + ', '.join(parts) + (', ...]' if len(value) > 4 else ']')
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _keypoints(content: dict[str, Any], path: Path) -> int | None:
    shape = content.get('kpt_shape')
    if shape is None:
        return None
    if not isinstance(shape, list) or len(shape) != 2 or not all(map(_is_count, shape)):
        raise InputError(f'{path}: kpt_shape is {_short(shape)}, not two numbers such as [17, 3]')
    return int(shape[0]) * int(shape[1])


def _load(path: Path) -> dict[str, Any]:
    """Return a YAML file's content, in which all values are texts: a class may be called ``no``."""
    try:
        content = yaml.load(path.read_bytes(), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f'{path} is not YAML ({error}). Correct it') from error
    return _in_small_letters(content.items()) if isinstance(content, dict) else {}


def _load_darknet(path: Path) -> dict[str, Any]:
    pairs = (line.partition('=') for line in read_text(path).splitlines() if '=' in line)
    return _in_small_letters((key, value.strip()) for key, _, value in pairs)


def _in_small_letters(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Return values by their keys: CVAT's splits may be called Train and Validation."""
    return {str(key).strip().lower(): value for key, value in pairs}


def _to_list(value: Any, place: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    values = [entry for entry in values if entry not in (None, '')]
    if other := [entry for entry in values if not isinstance(entry, str)]:
        raise InputError(f'{place} is {_short(other[0])}. Write the path of a folder or of a list')
    return values


def resolve(written: str, folders: list[Path]) -> Path | None:
    """Return the file or folder that a path means, or ``None``.

    Args:
        written: As it stands in a file: from another folder, of Windows, or of another computer.
        folders: Where it may start. Of a path of another computer, as much of its end as exists in
            one of the folders is taken.
    """
    text = written.strip().replace('\\', '/')
    parts = [part for part in text.split('/') if part not in ('', '.', '..') and part[-1:] != ':']
    tails = ['/'.join(parts[i:]) for i in range(len(parts))]
    for ending in (text, *tails):
        for folder in folders:
            place = folder / ending
            # no device, of which reading would have no end; no name that is too long
            if ending and (os.path.isfile(place) or os.path.isdir(place)):
                return place
    return None
