"""The rows of a label file in YOLO's format."""

import math
from pathlib import Path

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import encoding_of
from ..errors import InputError
from .data_folder import read_text
from .labelled import Labels, Shape, Size, UnusableError

FEWEST = 3  # rows that tell keypoints from polygons
SLACK = 0.01  # by which a coordinate may lie outside the image: rounding


def read_rows(
    path: Path, size: Size, names: dict[int, str], keypoints: int | None = None
) -> Labels:
    """Return the objects of a label file, in pixels.

    Args:
        path: The file.
        size: Width and height of the image as it is seen, turned by EXIF.
        names: The classes by their numbers.
        keypoints: How many numbers for keypoints follow the box in a row.

    Raises:
        UnusableError: If a row is not usable.
    """
    try:
        lines = read_text(path).splitlines()
    except ValueError as error:
        raise UnusableError('label cannot be read', 'it is not in UTF-8') from error
    rows: dict[tuple[float, ...], Shape] = {}
    repeated = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = tuple(map(_to_number, line.split()))
        except ValueError as error:
            text = f'line {number} holds {line[:60]!r}, which is not numbers'
            raise UnusableError('label cannot be read', text) from error
        if fault := _fault(row, names, keypoints):
            reason, text = fault
            raise UnusableError(reason, f'line {number} {text}')
        if row in rows:
            repeated.append('row that repeats another one')
        rows[row] = _to_shape(row, size, names, boxes_only=keypoints is not None)
    return Labels(list(rows.values()), left_out=repeated)


def _to_number(text: str) -> float:
    """Return a number; Python's own reading would take 1_0 for 10."""
    if '_' in text:
        raise InputError(f'{text} is no number')
    return float(text)


def _fault(
    row: tuple[float, ...], names: dict[int, str], keypoints: int | None
) -> tuple[str, str] | None:
    """Return why a row is not usable: the reason and the text; or ``None``."""
    bad = 'label cannot be read'
    number, values = len(row), row[1:5]
    if keypoints is not None:
        if number not in (5, 5 + keypoints):
            return bad, f'has {number} numbers, but kpt_shape asks for {5 + keypoints}'
    elif points := _count_keypoints(row):
        return bad, (
            f'has a box and what looks like {points} keypoints with their visibility. If so, add '
            f'kpt_shape: [{points}, 3] to data.yaml'
        )
    elif number < 5 or number == 6 or number % 2 == 0:
        return bad, f'has {number} numbers, but a box has 5 and a polygon 7, 9, 11, ...'
    else:
        values = row[1:]
    if not all(map(math.isfinite, row)):
        return bad, 'holds a number that is not finite'
    if row[0] not in names:
        is_whole = len(names) == max(names) - min(names) + 1 > 1
        known = f'{min(names)} to {max(names)}' if is_whole else shorten(names, 20)
        return (
            'class id without a name',
            f'has the class id {row[0]:g}, but the names are for {known}',
        )
    if min(values) < -SLACK or max(values) > 1 + SLACK:
        worst = max(values, key=lambda value: abs(value - 0.5))
        return bad, f'has {worst:g}, but coordinates are shares of the image, between 0 and 1'
    if len(values) == 4 and min(values[2:]) < 0:
        return bad, f'has a width or height under 0: {values[2]:g}, {values[3]:g}'
    return None


def _count_keypoints(row: tuple[float, ...]) -> int:
    """Return how many keypoints ``x y visibility`` follow a box, or 0 if it is no such row.

    Read as a polygon, such a row of an odd number of values would be a wrong shape. The visibility
    is 0, 1 or 2, and what is visible lies in the box.
    """
    points = list(zip(row[5::3], row[6::3], row[7::3], strict=False))
    if len(points) < 2 or len(row) != 5 + 3 * len(points):
        return 0
    x, y, w, h = row[1:5]
    visible = [(px, py) for px, py, seen in points if seen]
    is_pose = (
        {seen for _, _, seen in points} <= {0, 1, 2}
        and bool(visible)
        and all(abs(px - x) <= w / 2 + SLACK and abs(py - y) <= h / 2 + SLACK for px, py in visible)
    )
    return len(points) if is_pose else 0


def numbers_in(path: Path) -> list[tuple[float, ...]]:
    """Return the rows of a label file that are numbers; the others are named when it is read."""
    rows = []
    for line in path.read_text(encoding=encoding_of(path), errors='replace').splitlines():
        try:
            row = tuple(map(_to_number, line.split()))
        except ValueError:
            continue
        if row:
            rows.append(row)
    return rows


def count_bare_keypoints(rows: list[tuple[float, ...]]) -> int:
    """Return how many keypoints ``x y`` follow the boxes of a data set, or 0 if they do not.

    A row of them has as many numbers as one of a polygon. Keypoints lie in their box, and every row
    has as many of them. Points at 0, 0 were not marked.
    """
    lengths = {len(row) for row in rows}
    length = lengths.pop() if len(lengths) == 1 else 0
    if len(rows) < FEWEST or length < 7 or length % 2 == 0:
        return 0
    for row in rows:
        x, y, w, h = row[1:5]
        points = [p for p in zip(row[5::2], row[6::2], strict=True) if any(p)]
        if not all(
            abs(px - x) <= w / 2 + SLACK and abs(py - y) <= h / 2 + SLACK for px, py in points
        ):
            return 0
    return (length - 5) // 2


def _to_shape(
    row: tuple[float, ...], size: Size, names: dict[int, str], *, boxes_only: bool
) -> Shape:
    """Return an object in pixels; polygons are clipped to the image."""
    width, height = size
    name = names[int(row[0])]
    if len(row) == 5 or boxes_only:
        x, y, w, h = row[1:5]
        xs, ys = [x - w / 2, x + w / 2], [y - h / 2, y + h / 2]
    else:
        xs, ys = list(row[1::2]), list(row[2::2])
    if len(row) == 5 or boxes_only:
        return Shape(name, (xs[0] * width, ys[0] * height, xs[1] * width, ys[1] * height))
    xs = [min(max(x, 0.0), 1.0) * width for x in xs]
    ys = [min(max(y, 0.0), 1.0) * height for y in ys]
    box = (min(xs), min(ys), max(xs), max(ys))
    return Shape(name, box, [[value for point in zip(xs, ys, strict=True) for value in point]])
