"""Label maps whose colours stand for classes, by a table that lies beside them.

::

    labelmap.txt       label:color_rgb:parts:actions  cat:250,50,83::      CVAT, Datumaro
    class_dict.csv     name,r,g,b                     cat,250,50,83        CamVid of Kaggle
    label_colors.txt   250 50 83 cat                                       CamVid
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import delimiter
from ..data_checks.label_maps import IGNORED, UNREADABLE
from ..errors import InputError
from .class_cells import column, plain
from .class_names import check_class_names
from .data_folder import read_text

TABLES = (
    *('labelmap.txt', 'class_dict.csv', 'class_dict_seg.csv', 'label_class_dict.csv'),
    'label_colors.txt',
)
BY_NAME = re.compile(r'\s*([^:#]+):(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?$')
BY_CELLS = re.compile(r'\s*"?([^",]+)"?\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*$')
BY_COLOUR = re.compile(r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)$')
# Columns of a table with a header, in small letters
NAME = ('name', 'class', 'classname', 'label', 'labelname', 'category')
CHANNELS = (('r', 'red'), ('g', 'green'), ('b', 'blue'))
VOID = (224, 224, 192)  # Pascal VOC's edges, which are ignored
# Names of what is no class, in small letters: CamVid's table has "Void"
NO_CLASS = ('void', 'ignore', 'ignored', 'dontcare', "don't care", 'unlabeled', 'unlabelled')
MOST = 0.01  # share of pixels of other colours, as edges have, that are ignored
Colour = tuple[int, int, int]


class Colours(NamedTuple):
    """A table of colours.

    Attributes:
        place: The file.
        classes: The names of the classes, in its order, and the colour of each.
        ignored: Likewise, of what is no class.
    """

    place: Path
    classes: dict[str, Colour]
    ignored: dict[str, Colour]


def find_colours(root: Path) -> Colours | None:
    """Return the table of colours in a folder.

    Raises:
        ValueError: If it names a class twice, or gives one colour to several.
    """
    place = next((root / name for name in TABLES if (root / name).is_file()), None)
    if place is None:
        return None
    lines = [line for line in read_text(place).splitlines() if not line.lstrip().startswith('#')]
    pairs: list[tuple[str, Colour]] = []
    for name, *numbers in _below_header(lines, place) or _rows(lines):
        red, green, blue = (min(int(number[:4]), 256) for number in numbers)
        pairs.append((name.strip(), (red, green, blue)))
    if not pairs:
        raise InputError(
            f'{place} has no line with a class and its colour. Write a line name,r,g,b, then a '
            'line per class, such as road,255,255,255'
        )
    check_class_names([name for name, _ in pairs], place)
    colours = [colour for _, colour in pairs]
    if wrong := [colour for colour in colours if max(colour) > 255]:
        raise InputError(f'{place} has the colour {wrong[0]}. Numbers are 0 to 255')
    if twice := [colour for colour in colours if colours.count(colour) > 1]:
        raise InputError(f'{place} gives the colour {twice[0]} to several classes. Correct it')
    return Colours(place, dict(pairs), {})


def _rows(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the name of each class, and the texts of red, green and blue."""
    for line in lines:
        if match := BY_NAME.match(line) or BY_CELLS.match(line):
            yield match[1], match[2], match[3], match[4]
        elif match := BY_COLOUR.match(line):
            yield match[4], match[1], match[2], match[3]


def _below_header(lines: Sequence[str], file: Path) -> list[tuple[str, ...]]:
    """Return what ``_rows`` yields, if the first line names the columns, in any order.

    A table may begin with ``name,b,g,r`` or ``id;name;red;green;blue``.

    Raises:
        ValueError: If a row has no three numbers.
    """
    filled = [line for line in lines if line.strip()]
    rows = list(csv.reader(filled, delimiter=delimiter(filled[0]))) if filled else []
    header = [plain(cell) for cell in rows[0]] if rows else []
    found = [
        next((header.index(name) for name in known if name in header), None)
        for known in (NAME, *CHANNELS)
    ]
    places = [place for place in found if place is not None]
    if len(places) < len(found):
        return []
    cells = [column(rows[1:], place) for place in places]
    named = [tuple(map(str.strip, row)) for row in zip(*cells, strict=True)]
    if wrong := [row for row in named if not all(map(str.isdecimal, row[1:]))]:
        raise InputError(
            f'{file} has the row {",".join(wrong[0])}, whose red, green and blue are no whole '
            'numbers. Correct it'
        )
    return named


def without_void(colours: Colours) -> Colours:
    """Return a table in which names such as "Void" are no classes.

    This is for maps of colours without a ``classes.txt``. In maps of numbers, each row counts.
    """
    kept = {n: c for n, c in colours.classes.items() if not is_void(n)}
    return Colours(colours.place, kept, {n: c for n, c in colours.classes.items() if is_void(n)})


def is_void(name: str) -> bool:
    """Return whether a name says that pixels are of no class."""
    return name.strip().lower() in NO_CLASS


def is_coloured(path: Path, colours: Colours) -> bool:
    """Return whether colours tell the classes of a label map, not its numbers.

    A palette is of colours if the table has all that the map shows. The numbers of such a map are
    the palette's, in any order.
    """
    try:
        with Image.open(path) as image:
            if image.mode != 'P':
                return image.mode in ('RGB', 'RGBA')
            shown = {pixel for _, pixel in image.convert('RGB').getcolors() or ()}
            return shown <= {*colours.classes.values(), VOID}
    except UNREADABLE:
        return False  # reported where it is read


def convert_colours(
    colours: Colours, maps: Sequence[Path], root: Path, target: Path
) -> tuple[list[Path], list[str]]:
    """Write label maps with the numbers of the classes instead of their colours.

    Args:
        colours: The table.
        maps: The label maps, in ``root``.
        root: Their folder.
        target: Folder of the files that are written, with the same names.

    Returns:
        The files, and notes.

    Raises:
        ValueError: If a map has many pixels of another colour.
    """
    table = {_to_number(VOID): IGNORED}
    table |= {_to_number(colour): IGNORED for colour in colours.ignored.values()}
    table |= {_to_number(colour): i for i, colour in enumerate(colours.classes.values())}
    known = np.array(sorted(table), np.int64)
    labels = np.array([table[number] for number in known.tolist()], np.uint8)
    written, other, total = [], 0, 0
    for path in maps:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert('RGB')).astype(np.int64)
        except UNREADABLE as error:
            raise InputError(f'{path} cannot be read ({error}). Write it again') from error
        numbers = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
        place = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        is_known = known[place] == numbers
        absent = int((~is_known).sum())
        if absent > MOST * numbers.size:
            values, counts = np.unique(numbers[~is_known], return_counts=True)
            most = [_to_colour(value) for value in values[np.argsort(-counts)].tolist()]
            raise InputError(
                f'{path} has {absent} of {numbers.size} pixels of colours that {colours.place} '
                f'does not have, such as {shorten(most)} (red, green, blue). Add them to the table'
            )
        other, total = other + absent, total + numbers.size
        file = (target / path.relative_to(root)).with_suffix('.png')
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(is_known, labels[place], IGNORED).astype(np.uint8)).save(file)
        written.append(file)
    notes = [f'colours became numbers by {colours.place}: label maps in {target}']
    if colours.ignored:
        notes.append(
            f'{shorten(colours.ignored, 8)} of {colours.place} is {IGNORED}, which is ignored, as '
            'its name says. If it is a class, rename it'
        )
    if other:
        notes.append(
            f'{other} of {total} pixels have colours that {colours.place} does not have, as at '
            f'blurred edges: they are {IGNORED}, which is ignored'
        )
    return written, notes


def _to_number(colour: Colour) -> int:
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def _to_colour(number: int) -> Colour:
    return number >> 16, (number >> 8) & 255, number & 255
