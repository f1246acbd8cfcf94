"""A user's own data in tables: an image and its class in each row.

::

    DIR/labels.csv    id,breed             DIR/train/000b.jpg   one table, with --val-share
    DIR/train.csv     filename,label       DIR/val.csv          a table per split
    DIR/labels.csv    path,class,split     DIR/images/a.jpg     a column for the split
    DIR/train.txt     images/a b.jpg 0     DIR/val.txt          MMPretrain: no header
    DIR/train/<class>/images/              DIR/val/val_annotations.txt    Tiny ImageNet

``IMAGE``, ``CLASS`` and ``SPLIT`` have the names of columns that are understood. Without such a
name, the images that are there tell which column names them.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import delimiter, is_number
from ..errors import InputError
from .class_cells import (
    ONLY_ONE,
    are_yes_or_no,
    check_single,
    class_of,
    column,
    only_yes,
    plain,
    same_parts,
)
from .coco_folder import split_of
from .data_folder import IMAGES, SPLITS, is_image, list_files, read_text, some_of_each_folder
from .pairs import nearest
from .tables import ENDINGS, find_tables

# Names of columns, small letters and digits only, the likeliest first
IMAGE = (
    *('filename', 'imagename', 'imagepath', 'filepath', 'filepaths', 'image', 'imageid', 'img'),
    *('imgname', 'imgpath', 'imgid', 'file', 'fileid', 'path', 'id', 'idcode', 'images'),
)
CLASS = (
    *('class', 'classname', 'label', 'labelname', 'category', 'categoryname', 'labels', 'classes'),
    *('species', 'breed', 'target', 'diagnosis', 'dx', 'classid', 'labelid', 'categoryid'),
)
SPLIT = ('split', 'subset', 'set', 'dataset', 'partition')
ROWS = ('', 'index', 'unnamed0')  # columns that count the rows
MOST = 0.5  # share of the rows of a table whose images are there, at least
TINY = 6  # columns of Tiny ImageNet: image, class, and four numbers of a box


class Tables(NamedTuple):
    """What the tables of a folder say.

    Attributes:
        splits: The class of each image, by split; an empty text is that of tables without one.
        notes: What the user should know.
        skipped: Why other tables are not read.
    """

    splits: dict[str, dict[Path, str]]
    notes: list[str]
    skipped: list[str]


class _Table(NamedTuple):
    """A file: its rows, and the places of its columns, ``None`` if there is none."""

    file: Path
    rows: list[list[str]]
    image: int
    label: int | None
    split: int | None
    header: list[str]


class _Images:
    """The images of a folder, found by what tables call them."""

    def __init__(self, files: list[Path], root: Path) -> None:
        self.root = root
        self.all = [file for file in files if is_image(file)]
        self.by_name: dict[str, list[Path]] = {}
        for image in self.all:
            for name in {image.name.strip().lower(), image.stem.strip().lower()}:
                self.by_name.setdefault(name, []).append(image)

    def called(self, name: str) -> list[Path]:
        """Return the images of a name, which may have folders and an ending."""
        parts = [part for part in name.replace('\\', '/').split('/') if part.strip('.')]
        same = self.by_name.get(parts[-1].strip().lower(), []) if parts else []
        for length in range(len(parts), 1, -1):
            folders = tuple(parts[-length:-1])
            if near := [image for image in same if image.parent.parts[1 - length :] == folders]:
                return near
        return same

    def split(self, image: Path) -> str:
        """Return the split that the folders of an image name."""
        return split_of(image.with_name('_'), self.root)


def read_class_tables(root: Path) -> Tables:
    """Return the images and classes in the tables of a folder.

    Raises:
        ValueError: If an image has several classes or splits, a table is damaged, or most of its
            images are not there.
    """
    files = list_files(root)
    texts = [file for file in files if file.suffix.lower() in ENDINGS]
    if not texts:
        return Tables({}, [], [])
    images = _Images(files, root)
    tables: list[_Table] = []
    skipped: list[str] = []
    known: set[Path] = set()  # images that tables without classes name
    for file in some_of_each_folder(texts):
        table = _understand(file, images)
        if isinstance(table, str):
            skipped.append(f'{file} {table}')
        elif table and table.label is None:
            skipped.append(f'{file} is passed over, since no column of it names classes')
            known.update(i for name in column(table.rows, table.image) for i in images.called(name))
        elif table:
            tables.append(table)
    tables = _leave_out_doubtful(tables)
    for table in tables:
        check_single(column(table.rows, table.label or 0), _describe(table))
    notes = [*(f'the classes are those of {_describe(table)}' for table in tables), *skipped]
    found: dict[Path, tuple[str, str, Path]] = {}
    repeated = 0
    for table in tables:
        for image, label, split in _entries(table, images, notes):
            if old := found.get(image):
                repeated += 1
                _check_same(image, old, (label, split, table.file))
                split = split or old[1]
            found[image] = label, split, table.file
    if repeated:
        notes.append(f'{repeated} rows repeat an image with the same class, and count once')
    folders = {image.parent for image in found}
    if bare := [i for i in images.all if i.parent in folders and i not in found and i not in known]:
        notes.append(f'{len(bare)} images are in no table and are left out ({shorten(bare)})')
    return Tables(_split(root, found, images), notes, skipped)


def _understand(file: Path, images: _Images) -> _Table | str | None:
    """Return a table of images, why it is not read, or nothing if it is something else."""
    rows = _read(file)
    if not rows or find_tables([file]):
        return None
    names = [plain(cell) for cell in rows[0]]
    images_named = [names.index(name) for name in IMAGE if name in names]
    labels = [names.index(name) for name in CLASS if name in names]
    is_named = bool(images_named and labels)
    has_header = is_named or not any(
        cell.lower().endswith(IMAGES) or images.called(cell) for cell in rows[0]
    )
    body = rows[1:] if has_header else rows
    width = len(names)
    places = images_named if has_header and images_named else list(range(width))
    hits = [sum(bool(images.called(cell)) for cell in column(body, i)) for i in places]
    image, hit = max(zip(places, hits, strict=True), key=lambda pair: pair[1])
    if not body or not hit or (not is_named and hit < MOST * len(body)):
        listed = column(body, image)
        if is_named:
            read_text(file)  # refuses other encodings
        return f'names no image that is there ({shorten(listed)})' if is_named and body else None
    if len({len(row) for row in rows}) > 1:
        odd = next(row for row in rows if len(row) != width)
        raise InputError(
            f'{file} has a row of {len(odd)} cells ({shorten(odd, 8)}), and its first row has '
            f'{width}. Correct it, or move the file out of {images.root}'
        )
    split = next((names.index(name) for name in SPLIT if has_header and name in names), None)
    header = rows[0] if has_header else [''] * width
    label = None
    if 'submission' not in file.stem.lower():
        read_text(file)  # refuses other encodings
        labels = [i for i in labels if has_header and i != image]
        others = [i for i in range(width) if i not in (image, split)]
        flags = [i for i in others if has_header and names[i] not in ROWS]
        if not labels and (yes := only_yes(body, flags)):
            body = [[*row, header[i]] for row, i in zip(body, yes, strict=True)]
            label, header = width, [*header, f'with a 1, of {shorten(header[i] for i in flags)}']
        else:
            label = _label(file, header, body, labels, others)
    if label is None and not has_header:
        return None  # such as boxes
    if label is not None and not any(column(body, label)):
        label = None
    return _Table(file, body, image, label, split, header)


def _leave_out_doubtful(tables: list[_Table]) -> list[_Table]:
    """Return the tables without lists such as ``0,cat``, where 0.jpg is an image.

    Columns without a known name are no classes if they differ in most rows, unless another table
    has these classes.
    """
    classes = {table.file: set(column(table.rows, table.label or 0)) for table in tables}
    doubtful = [
        table
        for table in tables
        if not {plain(cell) for cell in table.header} & {*CLASS}
        and len(classes[table.file]) > MOST * len(table.rows)
        and len(table.rows[0]) < TINY
    ]
    sure = set().union(*(classes[table.file] for table in tables if table not in doubtful))
    return [table for table in tables if table not in doubtful or classes[table.file] <= sure]


def _describe(table: _Table) -> str:
    place = table.label or 0
    return f'{table.file}, column {table.header[place] or place + 1}'


def _read(file: Path) -> list[list[str]]:
    """Return the rows of a table; of two columns between blanks, the first names an image."""
    text = file.read_bytes().decode('utf-8-sig', errors='replace').strip('\r\n')
    first = text.partition('\n')[0]
    is_csv = file.suffix.lower() == '.csv'
    mark = '\t' if '\t' in first and not is_csv else delimiter(first)
    if mark in first or is_csv:
        try:
            rows = list(csv.reader(io.StringIO(text), delimiter=mark))
        except csv.Error:
            return []
    else:
        rows = [line.rsplit(None, 1) for line in text.splitlines() if line.strip()]
        if not rows or len(rows[0]) != 2 or not rows[0][0].lower().endswith(IMAGES):
            return []
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def _label(
    file: Path,
    header: list[str],
    rows: list[list[str]],
    named: list[int],
    others: list[int],
) -> int | None:
    """Return the place of the column that names the class.

    Args:
        file: The table.
        header: The names of its columns, which are empty if it has none.
        rows: The rows of images.
        named: Places of columns that are called like a class.
        others: Places of all columns but those of the image and the split.

    Raises:
        ValueError: If there is a column per label, or several columns may be the class.
    """
    if named:
        cells = {i: column(rows, i) for i in named}
        if unlike := [i for i in named if not same_parts(cells[named[0]], cells[i])]:
            listed = [header[i] for i in (named[0], *unlike)]
            raise InputError(
                f'{file} has several columns that may be the class ({shorten(listed, 8)}). Delete '
                'all but one of them'
            )
        return next((i for i in named if not all(map(is_number, cells[i]))), named[0])
    has_header = any(header)
    others = [i for i in others if not has_header or plain(header[i]) not in ROWS]
    if len(others) == 1:
        return others[0]
    if not has_header:
        numbers = [cell for row in rows for cell in row[2:]]
        is_tiny = len(header) == TINY and others[0] == 1 and all(map(is_number, numbers))
        return 1 if is_tiny else None
    flags = [header[i] for i in others if are_yes_or_no(column(rows, i))]
    if len(flags) > 1:
        raise InputError(
            f'{file} has a column per label ({shorten(flags, 8)}), so an image may have several. '
            f'{ONLY_ONE}'
        )
    return None


def _entries(table: _Table, images: _Images, notes: list[str]) -> Iterator[tuple[Path, str, str]]:
    """Yield the image, class and split of each row whose image is there.

    Raises:
        ValueError: If most images are not there, or a split has another name than is known.
    """
    groups: dict[str, list[list[str]]] = {}
    empty = 0
    for row in table.rows:
        if not row[table.label or 0]:
            empty += 1
            continue
        groups.setdefault(_split_of(table, row, images.root), []).append(row)
    missing: list[str] = []
    for split, rows in groups.items():
        called = [images.called(row[table.image]) for row in rows]
        # a table of one split does not take the images of another, unless it names only these
        own = [[i for i in some if images.split(i) in ('', split)] for some in called]
        if split and any(own):
            called = own
        elif not split and len({row[table.image] for row in rows}) == len(rows):
            # the names of test images often are those of training images, counted anew
            called = [[i for i in s if images.split(i) == 'train'] or s for s in called]
        for row, some in zip(rows, called, strict=True):
            if image := nearest(some, table.file, row[table.image]):
                yield image, class_of(row[table.label or 0]), split
            else:
                missing.append(row[table.image])
    number = len(table.rows) - empty
    if missing:
        text = (
            f'{len(missing)} of {number} images that {table.file} lists are not in {images.root} '
            f'({shorten(missing)})'
        )
        if len(missing) > MOST * number:
            raise InputError(f'{text}. Add the images')
        notes.append(f'{text}. They are left out')
    if empty:
        notes.append(f'{empty} rows of {table.file} name no class, and are left out')


def _split_of(table: _Table, row: list[str], root: Path) -> str:
    if table.split is None:
        # trainLabels.csv
        name = re.sub('(?<=[a-z])(?=[A-Z])', '_', table.file.name)
        return split_of(table.file.with_name(name), root)
    said = row[table.split].lower()
    for split, words in SPLITS.items():
        if said in words:
            return split
    raise InputError(
        f'{table.file} has a row of the split {row[table.split]!r}: {shorten(row, 8)}. Write one '
        f'of {", ".join(SPLITS)}'
    )


def _check_same(image: Path, old: tuple[str, str, Path], new: tuple[str, str, Path]) -> None:
    """Check that two rows of an image say the same."""
    if old[0] != new[0]:
        raise InputError(
            f'{image} has two classes: {old[0]} in {old[2]}, and {new[0]} in {new[2]}. {ONLY_ONE}'
        )
    if old[1] and new[1] and old[1] != new[1]:
        raise InputError(
            f'{image} is in two splits: {old[1]} in {old[2]}, and {new[1]} in {new[2]}. Delete one '
            'of the rows: what was trained on cannot judge'
        )


def _split(
    root: Path, found: dict[Path, tuple[str, str, Path]], images: _Images
) -> dict[str, dict[Path, str]]:
    """Return the images by the splits that tables name, else their folders."""
    loose = {image: images.split(image) for image, (_, split, _) in found.items() if not split}
    if not all(loose.values()):
        if len(loose) < len(found):
            image = next(image for image, split in loose.items() if not split)
            raise InputError(
                f'The tables of {root} put some images into splits, and {len(loose)} into none, '
                f'such as {image} of {found[image][2]}. Put each image into a split'
            )
        loose = {}
    splits: dict[str, dict[Path, str]] = {}
    for image, (label, split, _) in found.items():
        splits.setdefault(split or loose.get(image, ''), {})[image] = label
    return splits
