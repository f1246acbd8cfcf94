"""The tables of CUB-200-2011, whose rows begin with the number of an image or class.

::

    DIR/images.txt               1 001.Black_footed_Albatross/a.jpg    in DIR/images/
    DIR/image_class_labels.txt   1 1
    DIR/classes.txt              1 001.Black_footed_Albatross
    DIR/train_test_split.txt     1 0                                   1 is to train on
"""

from pathlib import Path

from ..data_checks.findings import shorten
from ..errors import InputError
from .data_folder import read_text

TABLES = ('images.txt', 'image_class_labels.txt', 'classes.txt', 'train_test_split.txt')
SPLITS = {'1': 'train', '0': 'test'}


def read_cub(root: Path) -> tuple[dict[str, dict[Path, str]], list[str]]:
    """Return the class of each image, by split, and a note; nothing if the tables are not there.

    Args:
        root: The folder of the tables, or that of the images in it.

    Raises:
        ValueError: If an image is not there, or a table has no row of it.
    """
    folder = root.parent if root.name == 'images' else root
    places = [folder / name for name in TABLES]
    if not all(place.is_file() for place in places):
        return {}, []
    images, labels, classes, splits = map(_read, places)
    parts: dict[str, dict[Path, str]] = {}
    missing = []
    for number, name in images.items():
        path = folder / 'images' / name
        split, title = SPLITS.get(splits.get(number, '')), classes.get(labels.get(number, ''))
        if split is None or title is None:
            raise InputError(
                f'{folder} has the tables {", ".join(TABLES)}, and one of them has no right row of '
                f'image {number} ({name}). Correct it'
            )
        if path.is_file():
            parts.setdefault(split, {})[path] = title
        else:
            missing.append(str(path))
    if missing:
        raise InputError(
            f'{len(missing)} of {len(images)} images of {places[0]} are not there '
            f'({shorten(missing)}). Add them, or delete their rows'
        )
    return parts, [f'the splits are those of {places[3]}, and the classes those of {places[1]}']


def _read(file: Path) -> dict[str, str]:
    """Return the rest of each line by its first word."""
    rows = [line.split(maxsplit=1) for line in read_text(file).splitlines() if line.strip()]
    if bad := [row for row in rows if len(row) != 2]:
        raise InputError(f'{file} has a line with one word, {bad[0][0]!r}. Each needs two')
    return {number: rest.strip() for number, rest in rows}
