"""A user's own data in tables: CSV files with a row per box.

::

    DIR/train/_annotations.csv   DIR/train/a.jpg   DIR/valid/...     Roboflow, TensorFlow: a header
    DIR/train.csv   DIR/val.csv  DIR/classes.csv   DIR/images/       RetinaNet, SKU-110K: no header
    DIR/train-annotations-bbox.csv   DIR/class-descriptions.csv      Open Images: shares of the size

``COLUMNS`` has the names of columns that are understood. Coordinates are corners, in pixels that
are taken as they are; if none is above 1, they are shares of the image's size.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import delimiter, first_row, is_number
from ..errors import InputError
from .class_cells import column, plain, same_parts, without_point
from .class_names import check_class_names
from .data_folder import IMAGES, SPLITS, list_files, read_text
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather
from .split_columns import read_flags

# What a column means: its names, small letters and digits only, the likeliest first
COLUMNS = {
    'image': (
        *('filename', 'imagename', 'imagepath', 'imageid', 'image', 'img', 'imgname', 'path'),
        *('imgpath', 'file', 'filepath', 'frame'),
    ),
    'left': ('xmin', 'x1', 'left', 'bboxxmin', 'xtl', 'roix1', 'bboxx', 'xlow'),
    'top': ('ymin', 'y1', 'top', 'bboxymin', 'ytl', 'roiy1', 'bboxy', 'ylow'),
    'right': ('xmax', 'x2', 'right', 'bboxxmax', 'xbr', 'roix2', 'xhigh'),
    'bottom': ('ymax', 'y2', 'bottom', 'bboxymax', 'ybr', 'roiy2', 'yhigh'),
    'w': ('bboxwidth', 'bboxw'),  # of a box, instead of right and bottom: makesense.ai
    'h': ('bboxheight', 'bboxh'),
    'class': (
        *('class', 'classname', 'label', 'labelname', 'labels', 'category', 'categoryname'),
        *('name', 'object', 'classid', 'categoryid'),
    ),
    'width': ('width', 'imagewidth', 'imgwidth'),
    'height': ('height', 'imageheight', 'imgheight'),
    'split': ('split', 'subset', 'set', 'usage', 'phase', 'partition'),
    'crowd': ('isgroupof', 'iscrowd'),
    'difficult': ('difficult', 'isdifficult'),  # as of Pascal VOC
}
HEADLESS = ('image', 'left', 'top', 'right', 'bottom', 'class', 'width', 'height')
ENDINGS = ('.csv', '.tsv', '.txt')
IGNORED = ('crowd', 'difficult')  # columns that say that an object is not trained on
YES = ('1', '1.0', 'true', 'yes')
ONLY_CLASS = 'object'  # of a table without a column for it
SHARES = 'coordinates are shares of the image, since none is above 1'
PIXELS = 'coordinates are taken as they are, the first pixel begins at 0'
PERCENTS = (
    'no coordinate is above 100, and some are no whole numbers. They are taken for pixels. If they '
    'are percents of the image, as of Label Studio, divide them by 100: shares are read'
)
NO_CLASS = f'no column for the class: all are {ONLY_CLASS!r}'
CLASS_FILES = ('_classes.csv', 'classes.csv', 'class.csv', 'class_mapping.csv')
SAYS_NOTHING = (
    *('', 'id', 'index', 'source', 'confidence', 'area', 'depth', 'isoccluded', 'istruncated'),
    *('isdepiction', 'isinside', 'unnamed0', 'segmented', 'pose', 'truncated'),
)


class Table(NamedTuple):
    """The rows of a file.

    Attributes:
        columns: Place of each column by its key in ``COLUMNS``.
        rows: The cells of each row.
        other: Names of the columns that are not understood.
    """

    columns: dict[str, int]
    rows: list[list[str]]
    other: list[str]


def find_tables(files: list[Path]) -> list[Path]:
    """Return the files in this format."""
    return [file for file in files if file.suffix.lower() in ENDINGS and _columns(first_row(file))]


def read_tables(root: Path) -> LabelledImages:
    """Return the images and boxes of a folder.

    Raises:
        ValueError: If it is not clear which column names the class.
    """
    files = list_files(root)
    numbers = _listed_classes([file for file in files if file.name.lower() in CLASS_FILES])
    titles = _titles(files) | {str(number): name for number, name in numbers.items()}
    entries: list[Listed] = []
    notes: dict[str, list[Path]] = {}
    with_ending = True
    for file in find_tables(files):
        table = _read(file)
        is_share = _is_share(table)
        notes.setdefault(SHARES if is_share else PIXELS, []).append(file)
        if not is_share and _is_share(table, 100):
            notes.setdefault(PERCENTS, []).append(file)
        if 'class' not in table.columns:
            if table.other:
                raise InputError(
                    f'{file} has no column for the class. Of its columns, '
                    f"{shorten(table.other, 8)} are not understood. Call the right one 'class'"
                )
            notes.setdefault(NO_CLASS, []).append(file)
        by_image: dict[str, list[list[str]]] = {}
        for row in table.rows:
            by_image.setdefault(row[table.columns['image']].strip(), []).append(row)
        with_ending &= all(name.lower().endswith(IMAGES) for name in by_image)
        entries += [
            _entry(file, name, rows, table.columns, titles, is_share=is_share)
            for name, rows in by_image.items()
        ]
    said = [f'{shorten(found)}: {text}' for text, found in notes.items()]
    classes = list(numbers.values())
    return gather(root, entries, classes=classes, notes=said, ending=with_ending)


def _columns(cells: list[str]) -> dict[str, int]:
    """Return the places of the columns of a table with boxes, by its first row; else nothing."""
    names = [''.join(filter(str.isalnum, cell.lower())) for cell in cells]
    found = {
        key: next(names.index(name) for name in known if name in names)
        for key, known in COLUMNS.items()
        if not set(names).isdisjoint(known)
    }
    corners = {'image', 'left', 'top', 'right', 'bottom'} <= set(found)
    if corners or {'image', 'left', 'top', 'w', 'h'} <= set(found):
        return found
    if len(cells) in (6, 8) and cells[0].strip().lower().endswith(IMAGES):
        texts = [cell.strip() for cell in (*cells[1:5], *cells[6:])]
        if not any(texts) or all(map(is_number, texts)):
            return dict(zip(HEADLESS, range(len(cells)), strict=False))
    return {}


def _read(file: Path) -> Table:
    text = read_text(file)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter(text)) if any(row)]
    columns = _columns(rows[0])
    has_header = not rows[0][columns['image']].strip().lower().endswith(IMAGES)
    if short := [row for row in rows if len(row) <= max(columns.values())]:
        raise InputError(f'{file} has a row of {len(short[0])} cells: {short[0]}. Complete it')
    body = rows[1:] if has_header else rows
    if has_header and 'class' in columns:
        columns['class'] = _named_class(rows[0], body, columns['class'])
    flagged: list[int] = []
    if has_header and 'split' not in columns:
        flagged, splits = read_flags(file, rows[0], body, has_class='class' in columns)
        if splits:
            columns['split'] = len(rows[0])
            cells = [[*row, *[''] * len(rows[0])][: len(rows[0])] for row in body]
            body = [[*row, word] for row, word in zip(cells, splits, strict=True)]
    used = {*columns.values(), *flagged}
    other = [cell for i, cell in enumerate(rows[0]) if has_header and i not in used]
    names = {cell: ''.join(filter(str.isalnum, cell.lower())) for cell in other}
    other = [cell for cell, name in names.items() if name not in SAYS_NOTHING]
    return Table(columns, body, other)


def _named_class(header: list[str], rows: list[list[str]], place: int) -> int:
    """Return the column of classes: of numbers beside names of the same classes, the names."""
    names = [plain(cell) for cell in header]
    cells = column(rows, place)
    if not all(map(is_number, cells)):
        return place
    others = [names.index(name) for name in COLUMNS['class'] if name in names]
    for other in others:
        titles = column(rows, other)
        if not any(map(is_number, titles)) and all(titles) and same_parts(cells, titles):
            return other
    return place


def _is_share(table: Table, whole: float = 1) -> bool:
    keys = [key for key in ('left', 'top', 'right', 'bottom', 'w', 'h') if key in table.columns]
    texts = [row[table.columns[key]] for row in table.rows for key in keys]
    values = [float(text) for text in texts if is_number(text)]
    return bool(values) and max(values) <= whole and any(value % 1 for value in values)


def _entry(
    file: Path,
    name: str,
    rows: list[list[str]],
    columns: dict[str, int],
    titles: dict[str, str],
    *,
    is_share: bool,
) -> Listed:
    def cell(row: list[str], key: str) -> str:
        return row[columns[key]].strip() if key in columns else ''

    def name_of(row: list[str]) -> str:
        text = without_point(cell(row, 'class')) if 'class' in columns else ONLY_CLASS
        return titles.get(text, text)

    boxes = [row for row in rows if any(cell(row, key) for key in HEADLESS[1:5])]
    said = cell(rows[0], 'split')
    split = next((split for split, words in SPLITS.items() if said.lower() in words), '')
    if said and not split:
        raise InputError(
            f'{file} has a row of the split {said!r}: {shorten(rows[0], 8)}. Write one of '
            f'{", ".join(SPLITS)}. If this column names no split, delete it'
        )

    def read(size: Size) -> Labels:
        width, height = size if is_share else (1, 1)
        shapes = []
        for row in boxes:
            texts = [cell(row, key) for key in ('left', 'top')]
            texts += [cell(row, key) for key in (('w', 'h') if 'w' in columns else HEADLESS[3:5])]
            if not all(map(is_number, texts)) or not name_of(row):
                raise InputError(f'no four numbers or no class: {row}')
            left, top, right, bottom = map(float, texts)
            if 'w' in columns:
                right, bottom = left + right, top + bottom
            if left > right or top > bottom:
                raise InputError(f'a maximum under its minimum: {row}')
            box = left * width, top * height, right * width, bottom * height
            is_ignored = any(cell(row, key).lower() in YES for key in IGNORED)
            shapes.append(Shape(name_of(row), box, is_ignored=is_ignored))
        sides = [cell(rows[0], 'width'), cell(rows[0], 'height')]
        stated = [int(float(text)) for text in sides if is_number(text)]
        whole = len(stated) == 2 and min(stated) > 0 and not is_share
        return Labels(shapes, (stated[0], stated[1]) if whole else None)

    return Listed(file, name, read, [name_of(row) for row in boxes if name_of(row)], split)


def _listed_classes(files: list[Path]) -> dict[int, str]:
    """Return the classes of RetinaNet's ``classes.csv``, rows of a name and a number, in order.

    Raises:
        ValueError: If several files differ.
    """
    found = {}
    for file in files:
        rows = _pairs_of(file)
        pairs = {int(name): number for name, number in rows if _is_count(name)}
        pairs |= {int(number): name for name, number in rows if _is_count(number)}
        found[file] = dict(sorted(pairs.items()))
        if pairs:
            check_class_names(list(found[file].values()), file)
    if len({tuple(names.items()) for names in found.values()}) > 1:
        raise InputError(f'The names of classes differ in {shorten(found, 8)}. Keep one file')
    return next(iter(found.values()), {})


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) < 7


def _titles(files: list[Path]) -> dict[str, str]:
    """Return the names that a file gives to Open Images' codes, such as ``/m/01yrx``."""
    listed = [file for file in files if file.name.lower().startswith(('class-desc', 'classes.csv'))]
    pairs = dict(row for file in listed for row in _pairs_of(file))
    return {code: name for code, name in pairs.items() if code.startswith('/') and name}


def _pairs_of(file: Path) -> list[tuple[str, str]]:
    """Return the rows of a table with two cells."""
    text = read_text(file)
    rows = csv.reader(text.splitlines(), delimiter=delimiter(text))
    return [(row[0].strip(), row[1].strip()) for row in rows if len(row) == 2]
