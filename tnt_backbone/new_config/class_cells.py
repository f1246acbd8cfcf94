"""Cells of tables that name classes: which columns do, and what is no single class."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import is_number
from ..errors import InputError
from .class_names import visible

YES = ('1', 'true')
BINARY = ('0', '1', '-1', 'true', 'false', '')
ALWAYS = ('|', ';')  # they separate labels, and no name of a class has them
MAYBE = (',', None)  # None: blanks
ONLY_ONE = (
    'tnt new makes configs with one class per image. If each image has one, write a table with the '
    'columns filename,label. For several, write a config with MultiLabelDataset and '
    'MultiLabelLinearClsHead of MMPretrain'
)


def plain(cell: str) -> str:
    """Return the name of a column in small letters and digits."""
    return ''.join(filter(str.isalnum, cell.lower()))


def column(rows: Iterable[Sequence[str]], place: int) -> list[str]:
    """Return the cells of a column; those of shorter rows are empty."""
    return [row[place] if place < len(row) else '' for row in rows]


def are_yes_or_no(cells: Iterable[str]) -> bool:
    """Return whether a column only says if an image has a label."""
    return {cell.lower().removesuffix('.0') for cell in cells} <= set(BINARY)


def only_yes(rows: Iterable[Sequence[str]], places: Sequence[int]) -> list[int]:
    """Return the place of the only column that says yes in each row.

    Args:
        rows: The rows.
        places: Those of the columns.

    Returns:
        Nothing if a row has none or several, or a column says something else than yes or no.
    """
    if len(places) < 2 or not all(are_yes_or_no(column(rows, i)) for i in places):
        return []
    found = [[i for i in places if row[i].lower().removesuffix('.0') in YES] for row in rows]
    return [some[0] for some in found] if all(len(some) == 1 for some in found) else []


def same_parts(cells: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two columns sort the rows in the same way, such as names and numbers."""
    pairs = set(zip(cells, others, strict=True))
    return len(pairs) == len(set(cells)) == len(set(others))


def check_single(cells: Iterable[str], what: str) -> None:
    """Check that the cells of a column hold one class each.

    Args:
        cells: The cells.
        what: The column, for the message.

    Raises:
        ValueError: If cells hold several labels, or fractions.
    """
    cells = list(cells)
    labels = sorted({cell for cell in cells if cell})
    several = [text for text in labels if text[0] in '[{(' or any(s in text for s in ALWAYS)]
    for mark in MAYBE if not several else ():
        several = _made_of_parts({text: [p.strip() for p in text.split(mark)] for text in labels})
        if several:
            break
    if several:
        raise InputError(
            f'{what} has several labels in a cell ({shorten(several)}). {ONLY_ONE}. If these are '
            'names of one class each, write _ for what separates their words'
        )
    if fractions := [text for text in labels if is_number(text) and float(text) % 1]:
        raise InputError(
            f'{what} has fractions ({shorten(fractions)}), which are no classes. If another column '
            "names the class, call it 'class' and this one otherwise"
        )


def _made_of_parts(labels: dict[str, list[str]]) -> list[str]:
    """Return the cells that hold several labels, if any do; a class may be a "bell pepper".

    Args:
        labels: The parts of each different cell.
    """
    many = [text for text, parts in labels.items() if len(parts) > 1]
    if of_others := [text for text in many if set(labels[text]) <= labels.keys()]:
        return of_others
    times = Counter(part for parts in labels.values() for part in set(parts))
    are_sets = (
        len({tuple(sorted(labels[text])) for text in many}) < len(many)  # in two orders
        or all(is_number(part) for text in many for part in labels[text])
        or 2 * len(times) < len(labels)  # a few words in many combinations
        or (len(many) == len(labels) and min(times.values(), default=0) > 1)
    )
    return many if are_sets else []


def without_boxes(cell: str) -> str:
    """Return the one class of a cell such as ``cat 1 2 30 40 cat 5 6 70 80``; else the cell."""
    words = cell.split()
    numbers = [word for i, word in enumerate(words) if i % 5]
    is_boxed = len(words) % 5 == 0 and len({*words[::5]}) == 1 and all(map(is_number, numbers))
    return words[0] if is_boxed else cell


def class_of(cell: str) -> str:
    """Return the class that a cell names; numbers that pandas wrote as 3.0 become 3.

    What cannot be seen makes no other class of it.
    """
    return without_point(visible(cell))


def without_point(cell: str) -> str:
    """Return a cell, 3 for 3.0."""
    return str(int(float(cell))) if cell.endswith('.0') and is_number(cell) else cell


def sort_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes in their order: numbers by value, others by name."""
    names = sorted(names)
    return tuple(sorted(names, key=int) if all(map(str.isdecimal, names)) else names)
