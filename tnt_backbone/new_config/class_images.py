"""Class folders: how many images each has, and what else lies in them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..data_checks.findings import shorten
from ..errors import InputError

KNOWN = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')  # to MMPretrain
FURTHER = ('.webp', '.tiff', '.jp2')  # what OpenCV reads, too


class Counted(NamedTuple):
    """The files of a folder with class folders.

    Attributes:
        images: Number of images in each class.
        further: Endings among them that MMPretrain does not read unless it is told to.
        others: Number of files of each ending that are no images.
    """

    images: dict[str, int]
    further: set[str]
    others: Counter[str]


def class_names(folder: Path) -> set[str]:
    """Return the names of the folders in a folder."""
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def count_images(folder: Path) -> Counted:
    """Count the files of each class; hidden files are passed over, as MMPretrain does."""
    from mmpretrain.datasets.custom import find_folders

    classes, _ = find_folders(str(folder))
    if hidden := [name for name in classes if name.startswith('.')]:
        raise InputError(f'{folder}/{hidden[0]} would count as a class. Delete it')
    counts = {name: Counter(_suffixes(folder / name)) for name in classes}
    images = {
        name: sum(number for suffix, number in suffixes.items() if suffix in (*KNOWN, *FURTHER))
        for name, suffixes in counts.items()
    }
    if empty := [name for name, number in images.items() if not number]:
        raise InputError(f'no image in {folder}/{shorten(empty)}: add some, or delete the folder')
    total: Counter[str] = sum(counts.values(), Counter())
    others = Counter({s: number for s, number in total.items() if s not in (*KNOWN, *FURTHER)})
    return Counted(images, {suffix for suffix in FURTHER if total[suffix]}, others)


def _suffixes(folder: Path) -> Iterator[str]:
    for path in folder.rglob('*'):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith('.') for part in parts):
            yield path.suffix.lower()


def is_read(path: Path) -> bool:
    """Return whether a file is an image that the data set reads, by its ending."""
    return path.is_file() and path.suffix.lower() in (*KNOWN, *FURTHER)


def describe_folder(folder: Path, counted: Counted) -> list[str]:
    """Return notes about files and folders that may be meant in another way."""
    notes = []
    if counted.others:
        endings = ', '.join(f'{n} in {s or "no ending"}' for s, n in counted.others.items())
        notes.append(f'{folder}: files that are no images are left out ({endings})')
    if nested := [name for name in counted.images if _is_nested(folder / name)]:
        inner = shorten(sorted(class_names(folder / nested[0])))
        notes.append(
            f'{folder}: {len(nested)} classes have their images in folders of their own '
            f'({nested[0]}: {inner}), which all count as one class. If these are the classes, move '
            f'them into {folder}'
        )
    return notes


def _is_nested(folder: Path) -> bool:
    """Return whether a class has several folders of images, and no image itself."""
    return len(class_names(folder)) > 1 and not any(map(is_read, folder.iterdir()))
