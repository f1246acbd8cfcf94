"""A user's own data in tables: an image and its class in each row.

::

    DIR/labels.csv    id,breed             DIR/train/000b.jpg   one table, with --val-share
    DIR/train.csv     filename,label       DIR/val.csv          a table per split
    DIR/labels.csv    path,class,split     DIR/images/a.jpg     a column for the split
    DIR/train.txt     images/a b.jpg 0     DIR/val.txt          MMPretrain: no header
    DIR/train/<class>/images/              DIR/val/val_annotations.txt    Tiny ImageNet
    DIR/train/metadata.jsonl               DIR/train/a.png      Hugging Face: file_name, label
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import is_number
from ..errors import InputError
from .class_cells import ONLY_ONE, check_single, class_of, column, plain
from .class_columns import (
    CLASS,
    JSON_LINES,
    MOST,
    TINY,
    Images,
    Table,
    understand,
)
from .coco_folder import split_of
from .data_folder import SPLITS, list_files, read_text, some_of_each_folder
from .pairs import nearest
from .tables import ENDINGS


class Tables(NamedTuple):
    """What the tables of a folder say.

    Attributes:
        splits: The class of each image, by split; an empty text is that of tables without one.
        notes: What the user should know.
        skipped: Why other tables are not read.
        parted: The split of each image in tables that name splits and no classes.
    """

    splits: dict[str, dict[Path, str]]
    notes: list[str]
    skipped: list[str]
    parted: Mapping[Path, str] = MappingProxyType({})


def read_class_tables(root: Path) -> Tables:
    """Return the images and classes in the tables of a folder.

    Raises:
        ValueError: If an image has several classes or splits, a table is damaged, or most of its
            images are not there.
    """
    files = list_files(root)
    texts = [file for file in files if file.suffix.lower() in (*ENDINGS, *JSON_LINES)]
    if not texts:
        return Tables({}, [], [])
    _check_no_lists_of_voc(texts)
    images = Images(files, root)
    tables: list[Table] = []
    skipped: list[str] = []
    known: set[Path] = set()  # images that tables without classes name
    parted: dict[Path, str] = {}
    for file in some_of_each_folder(texts):
        table = understand(file, images)
        if isinstance(table, str):
            skipped.append(f'{file} {table}')
        elif table and table.label is None:
            skipped.append(f'{file} is passed over, since no column of it names classes')
            if table.split is not None:
                parted |= _parts_in(table, images)
            known.update(i for name in column(table.rows, table.image) for i in images.called(name))
        elif table:
            tables.append(table)
    every, tables = tables, _leave_out_doubtful(tables)
    skipped += [
        f'{table.name} differs in most rows, so it names no classes'
        for table in every
        if table not in tables and len(table.rows) > 1
    ]
    for table in tables:
        check_single(table.classes, table.name)
    notes = [*(f'the classes are those of {table.name}' for table in tables), *skipped]
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
    return Tables(_split(root, found, images), notes, skipped, parted)


def read_parts(root: Path, pictures: list[Path], tables: list[Path]) -> dict[Path, str]:
    """Return the split of each picture that a table with a column of splits names.

    Args:
        root: The folder of the data.
        pictures: Those that count.
        tables: Files that may be such tables.

    Raises:
        ValueError: If a split has an unknown name, or a table is damaged.
    """
    images = Images(pictures, root)
    parted: dict[Path, str] = {}
    for file in tables:
        table = understand(file, images)
        if isinstance(table, Table) and table.split is not None:
            parted |= _parts_in(table, images)
    return parted


def _parts_in(table: Table, images: Images) -> dict[Path, str]:
    """Return the split of each image of a table that is there."""
    rows = [(row, images.called(row[table.image])) for row in table.rows]
    return {
        image: _split_of(table, row, images.root)
        for row, some in rows
        if (image := nearest(some, table.file, row[table.image]))
    }


def _check_no_lists_of_voc(texts: list[Path]) -> None:
    """Refuse Pascal VOC's lists of images, one per class: ``000012 -1`` in ``cat_train.txt``."""
    for file in texts:
        if file.parts[-3:-1] != ('ImageSets', 'Main') or '_' not in file.stem:
            continue
        rows = [line.split() for line in read_text(file).splitlines() if line.strip()]
        if rows and all(len(row) == 2 and row[1] in ('-1', '0', '1') for row in rows):
            raise InputError(
                f"{file.parent} has Pascal VOC's lists of images, one for each class, such as "
                f'{file.name}. So an image may have several classes. {ONLY_ONE}'
            )


def _leave_out_doubtful(tables: list[Table]) -> list[Table]:
    """Return the tables without lists such as ``0,cat``, where 0.jpg is an image.

    Columns without a known name are no classes if they differ in most rows, unless another table
    has these classes.
    """
    classes = {table.file: set(table.classes) for table in tables}
    doubtful = [
        table
        for table in tables
        if not {plain(cell) for cell in table.header} & {*CLASS}
        and len(classes[table.file]) > MOST * len(table.rows)
        and len(table.rows[0]) < TINY
    ]
    sure = set().union(*(classes[table.file] for table in tables if table not in doubtful))
    return [table for table in tables if table not in doubtful or classes[table.file] <= sure]


def _entries(table: Table, images: Images, notes: list[str]) -> Iterator[tuple[Path, str, str]]:
    """Yield the image, class and split of each row whose image is there.

    Raises:
        ValueError: If most images are not there, or a split has another name than is known.
    """
    groups: dict[str, list[list[str]]] = {}
    empty = denied = 0
    for row in table.rows:
        if table.confidence is not None and _is_zero(row[table.confidence]):
            denied += 1
            continue
        if row[table.label or 0].lower() in ('', 'nan'):  # pandas writes the second
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
    number = len(table.rows) - empty - denied
    if missing:
        text = (
            f'{len(missing)} of {number} images that {table.file} lists are not in {images.root} '
            f'({shorten(missing)})'
        )
        if len(missing) > MOST * number:
            raise InputError(f'{text}. Add the images')
        notes.append(f'{text}. They are left out')
    if denied:
        notes.append(
            f'{denied} rows of {table.file} have the confidence 0: their images are not of the '
            'class. They are left out'
        )
    if empty:
        notes.append(f'{empty} rows of {table.file} name no class, and are left out')


def _is_zero(text: str) -> bool:
    return is_number(text) and float(text) == 0


def _split_of(table: Table, row: list[str], root: Path) -> str:
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
            f'{image} has two classes: {old[0]} in {old[2]}, and {new[0]} in {new[2]}. '
            f'If one of the two files does not count, move it away. {ONLY_ONE}'
        )
    if old[1] and new[1] and old[1] != new[1]:
        raise InputError(
            f'{image} is in two splits: {old[1]} in {old[2]}, and {new[1]} in {new[2]}. Delete one '
            'of the rows: what was trained on cannot judge'
        )


def _split(
    root: Path, found: dict[Path, tuple[str, str, Path]], images: Images
) -> dict[str, dict[Path, str]]:
    """Return the images by the splits that tables name, else their folders."""
    loose = {image: images.split(image) for image, (_, split, _) in found.items() if not split}
    if not all(loose.values()):
        if len(loose) < len(found):
            image = next(image for image, split in loose.items() if not split)
            raise InputError(
                f'The tables of {root} put some images into splits, and {len(loose)} into none, '
                f'such as {image} of {found[image][2]}. Put each image into a split, or move the '
                f'table that does not count out of {root}'
            )
        loose = {}
    splits: dict[str, dict[Path, str]] = {}
    for image, (label, split, _) in found.items():
        splits.setdefault(split or loose.get(image, ''), {})[image] = label
    return splits
