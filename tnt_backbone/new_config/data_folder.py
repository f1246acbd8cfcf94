"""What lies in a folder of a user's own data: its files, splits, pictures, and text files."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.jp2')
SPLITS = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}


def list_files(root: Path) -> list[Path]:
    """Return all files below a folder, sorted; links to folders are followed.

    Hidden files and folders are left out. Among them are the ``._*`` files that macOS writes.
    """
    files: list[Path] = []
    seen: set[str] = set()
    for folder, children, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        children[:] = [] if real in seen else [c for c in children if not _is_hidden(c)]
        files += [Path(folder, name) for name in names if not _is_hidden(name) and real not in seen]
        seen.add(real)
    return sorted(files)


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name == '__MACOSX'


def is_image(path: Path) -> bool:
    """Return whether a file is an image by its ending, in small or capital letters."""
    return path.suffix.lower() in IMAGES


def split_of(path: Path, root: Path) -> str | None:
    """Return the split whose name a folder between ``root`` and a file has, or ``None``."""
    for part in path.relative_to(root).parts[:-1]:
        for split, names in SPLITS.items():
            if part.lower() in names:
                return split
    return None


def by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files by their names without folder and ending."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        found[file.stem].append(file)
    return found


def read_text(path: Path) -> str:
    """Return a text file's content, without the byte order mark of Windows.

    Raises:
        ValueError: If it is not in UTF-8.
    """
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not in UTF-8 ({error}). Save it in UTF-8') from error


def read_class_names(path: Path) -> list[str]:
    """Return the names in a file with one class name per line; its first line is class 0.

    Raises:
        ValueError: If a line between names is empty, a name occurs twice, or there is none.
    """
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    check_class_names(names, path)
    return names


def check_class_names(names: list[str], place: Path) -> None:
    """Check that every class has a name of its own.

    Args:
        names: The names, class 0 first.
        place: The file that holds them.

    Raises:
        ValueError: If there is no name, an empty one, or the same one twice.
    """
    if not names:
        raise ValueError(f'{place} names no class. Write one name per class into it')
    if '' in names:
        raise ValueError(
            f'{place}: class {names.index("")} of {len(names)} has no name. Write one name per '
            'class, without empty lines between them'
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f'{place} names {", ".join(twice)} twice. Give each class its own name')
