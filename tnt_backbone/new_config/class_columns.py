"""Which columns of a table name an image, its class and its split.

``IMAGE``, ``CLASS`` and ``SPLIT`` have the names of columns that are understood. Without such a
name, the images that are there tell which column names them.
"""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import delimiter, encoding_of, is_number, without_hint
from ..errors import InputError
from .class_cells import (
    ONLY_ONE,
    are_yes_or_no,
    column,
    only_yes,
    plain,
    same_parts,
    without_boxes,
)
from .coco_folder import split_of
from .data_folder import IMAGES, SPLITS, composed, is_image, read_text
from .split_columns import read_flags
from .tables import find_tables

# Names of columns, small letters and digits only, the likeliest first
IMAGE = (
    *('filename', 'imagename', 'imagepath', 'filepath', 'filepaths', 'image', 'imageid', 'img'),
    *('imgname', 'imgpath', 'imgid', 'file', 'fileid', 'path', 'id', 'idcode', 'images'),
    'imageindex',
)
BOXED = 'predictionstring'  # of Kaggle's ImageNet: a class and its box, maybe several times
CLASS = (
    *('class', 'classname', 'label', 'labelname', 'category', 'categoryname', 'labels', 'classes'),
    *('species', 'breed', 'target', 'diagnosis', 'dx', 'classid', 'labelid', 'categoryid'),
    *('groundtruth', 'choice'),  # of FiftyOne and Label Studio
    'findinglabels',  # of NIH's X-rays
    BOXED,
)
CONFIDENCE = 'confidence'  # 0 in Open Images: the image was looked at, and is not of the class
SPLIT = ('split', 'subset', 'set', 'dataset', 'partition', 'usage', 'phase')
ROWS = ('', 'index', 'unnamed0')  # columns that count the rows
FOLDS = ('fold', 'folds', 'kfold', 'foldid', 'foldno')  # columns of parts, which are no classes
# Words in the name of a file that parts the images, such as CelebA's list_eval_partition.txt
PARTITION = ('partition', 'partitions', 'split', 'splits', 'fold', 'folds')
JSON_LINES = ('.jsonl', '.ndjson')
MOST = 0.5  # share of the rows of a table whose images are there, at least
TINY = 6  # columns of Tiny ImageNet: image, class, and four numbers of a box


class Table(NamedTuple):
    """A file: its rows, and the places of its columns, ``None`` if there is none."""

    file: Path
    rows: list[list[str]]
    image: int
    label: int | None
    split: int | None
    header: list[str]
    confidence: int | None = None

    @property
    def classes(self) -> list[str]:
        """The cells of the column of classes, for a table that has one."""
        return column(self.rows, self.label or 0)

    @property
    def name(self) -> str:
        """The file and the column of classes, for messages."""
        place = self.label or 0
        return f'{self.file}, column {self.header[place] or place + 1}'


class Images:
    """The images of a folder, found by what tables call them."""

    def __init__(self, files: list[Path], root: Path) -> None:
        self.root = root
        self.all = [file for file in files if is_image(file)]
        self.by_name: dict[str, list[Path]] = {}
        for image in self.all:
            for name in {_plain(image.name), _plain(image.stem)}:
                self.by_name.setdefault(name, []).append(image)

    def called(self, name: str) -> list[Path]:
        """Return the images of a name, which may have folders and an ending."""
        parts = [part for part in name.replace('\\', '/').split('/') if part.strip('.')]
        same = self.by_name.get(_plain(parts[-1]), []) if parts else []
        for length in range(len(parts), 1, -1):
            folders = tuple(parts[-length:-1])
            if near := [image for image in same if image.parent.parts[1 - length :] == folders]:
                return near
        return same

    def split(self, image: Path) -> str:
        """Return the split that the folders of an image name."""
        return split_of(image.with_name('_'), self.root)


def _plain(name: str) -> str:
    return composed(name).strip().lower()


def understand(file: Path, images: Images) -> Table | str | None:
    """Return a table of images, why it is not read, or nothing if it is something else."""
    rows = _read(file, images)
    if not rows:
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
    flagged: list[int] = []
    if has_header and split is None:
        flagged, splits = read_flags(file, rows[0], body, has_class=bool(labels))
        if splits:
            body = [[*row, word] for row, word in zip(body, splits, strict=True)]
            rows = [[*rows[0], 'split'], *body]
            split, width = width, width + 1
            names.append('split')
    if split is None and not (has_header and labels) and _parts_images(file):
        return 'is passed over, since its name says that it parts the images'
    if find_tables([file]) and len({*column(body, image)}) < len(body):
        return 'has several boxes for an image'
    header = rows[0] if has_header else [''] * width
    label = None
    if 'submission' not in file.stem.lower():
        read_text(file)  # refuses other encodings
        labels = [i for i in labels if has_header and i != image]
        others = [i for i in range(width) if i not in (image, split, *flagged)]
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
    if label is not None and has_header and names[label : label + 1] == [BOXED]:
        body = [[*row[:label], without_boxes(row[label]), *row[label + 1 :]] for row in body]
    confidence = names.index(CONFIDENCE) if has_header and CONFIDENCE in names else None
    return Table(file, body, image, label, split, header, confidence)


def _parts_images(file: Path) -> bool:
    """Return whether the name of a file says that it parts images, and is no list of one part."""
    words = {*re.findall('[a-z]+', file.stem.lower())}
    named = [split for split, known in SPLITS.items() if words & {*known}]
    return bool(words & {*PARTITION}) and len(named) != 1


def _read(file: Path, images: Images) -> list[list[str]]:
    """Return the rows of a table. Blanks separate an image, which comes first, and its class."""
    text = without_hint(file.read_text(encoding=encoding_of(file), errors='replace')).strip('\r\n')
    if file.suffix.lower() in JSON_LINES:
        return _rows_of_objects(text)
    first = text.partition('\n')[0]
    is_csv = file.suffix.lower() == '.csv'
    mark = '\t' if '\t' in first and not is_csv else delimiter(first)
    if mark in first or is_csv:
        try:
            rows = list(csv.reader(io.StringIO(text), delimiter=mark))
        except csv.Error:
            return []
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # "a b.jpg 0", or "0034309 Boeing 747"
        ways = ([line.rsplit(None, 1) for line in lines], [line.split(None, 1) for line in lines])
        rows = max(ways, key=lambda rows: sum(_names_an_image(row, images) for row in rows))
        if not rows or not _names_an_image(rows[0], images):
            return []
        if any(len(row) == 2 and ' ' in row[1] and _are_numbers(row[1]) for row in rows):
            return []  # such as a box
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def _names_an_image(row: list[str], images: Images) -> bool:
    return len(row) == 2 and (row[0].lower().endswith(IMAGES) or bool(images.called(row[0])))


def _are_numbers(text: str) -> bool:
    return all(map(is_number, text.split()))


def _rows_of_objects(text: str) -> list[list[str]]:
    """Return a header and the rows of lines of JSON, such as ``{"file_name": "a.jpg", ...}``."""
    try:
        objects = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return []
    if not objects or not all(isinstance(one, dict) for one in objects):
        return []
    header = list(dict.fromkeys(key for one in objects for key in one))
    return [header, *([_cell(one.get(key)) for key in header] for one in objects)]


def _cell(value: Any) -> str:
    return '' if value is None else str(value).strip()


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
    others = [i for i in others if not has_header or plain(header[i]) not in (*ROWS, *FOLDS)]
    if len(others) == 1:
        return others[0]
    if not has_header:
        numbers = [cell for row in rows for cell in row[2:]]
        is_tiny = len(header) == TINY and others[0] == 1 and all(map(is_number, numbers))
        return 1 if is_tiny else None
    cells = {i: column(rows, i) for i in others}
    flags = [header[i] for i in others if any(cells[i]) and are_yes_or_no(cells[i])]
    if len(flags) > 1:
        raise InputError(
            f'{file} has a column per label ({shorten(flags, 8)}), so an image may have several. '
            f'{ONLY_ONE}'
        )
    return None
