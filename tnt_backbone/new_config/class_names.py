"""Names and order of the classes of a user's own data."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..data_checks.findings import shorten
from ..errors import InputError
from .data_folder import read_text

UNSEEN = dict.fromkeys(map(ord, '\u200b\u2060\ufeff'))
NUMBERED = re.compile(r'(\d{1,6})(?:\s*[:;,\t]\s*|\.\s+)(\S.*)')  # but 0.5 is no number of a class


def read_class_names(path: Path) -> list[str]:
    """Return the names in a file with one class name per line; its first line is class 0.

    Raises:
        ValueError: If a line between names is empty, a name occurs twice, or there is none.
    """
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    names = in_order_of_numbers(names) or names
    check_class_names(names, path)
    return names


def in_order_of_numbers(lines: Sequence[str]) -> list[str]:
    """Return the names in lines such as ``1: cat``, in the order of their numbers.

    Returns:
        Nothing, unless the lines have the numbers 0, 1, 2, ..., in any order.
    """
    matches = [NUMBERED.fullmatch(line) for line in lines]
    named = {int(match[1]): match[2] for match in matches if match}
    is_complete = bool(lines) and sorted(named) == list(range(len(lines)))
    are_names = len({*named.values()}) == len(named)
    return [named[number] for number in sorted(named)] if is_complete and are_names else []


def check_class_names(names: list[str], place: Path) -> None:
    """Check that every class has a name of its own.

    Args:
        names: The names, class 0 first.
        place: The file that holds them.

    Raises:
        ValueError: If there is no name, an empty one, or the same one twice.
    """
    if not names:
        raise InputError(f'{place} names no class. Write one name per class into it')
    if '' in names:
        raise InputError(
            f'{place}: class {names.index("")} of {len(names)} has no name. Write one name per '
            'class, without empty lines between them'
        )
    if twice := sorted(name for name, number in Counter(names).items() if number > 1):
        raise InputError(f'{place} names {", ".join(twice)} twice. Give each class its own name')


def choose_classes(
    root: Path,
    times: Counter[str],
    class_files: tuple[str, ...],
    no_class: tuple[str, ...] = (),
) -> tuple[list[str], list[str]]:
    """Return the names and the order of the classes of a format that writes names.

    Args:
        root: The folder; a file with one class name per line in it gives the order.
        times: How often each name occurs in the labels.
        class_files: Names of such a file.
        no_class: Names in it that are no classes.

    Returns:
        The names, and notes.

    Raises:
        ValueError: If there is no name, or the labels have one that the file lacks.
    """
    if not times:
        raise InputError(
            f'--data {root} has no label file with an object. Pass another folder, or another '
            '--format'
        )
    listed = next((root / name for name in class_files if (root / name).is_file()), None)
    names = read_class_names(listed) if listed else sorted(times)
    names = [name for name in names if name not in no_class]
    if unknown := [f'{name} ({times[name]} times)' for name in sorted(set(times) - set(names))]:
        raise InputError(
            f'{listed} does not name the classes {shorten(unknown, 8)}, which the labels have. '
            'Add them, or correct the labels'
        )
    order = f'in the order of {listed}' if listed else 'sorted by name'
    return names, [f'classes {order}: {shorten(names, 20)}', *find_alike(names)]


def find_alike(names: Sequence[str]) -> list[str]:
    """Return a note about names that are nearly the same, such as "big_cat" and "Big cat"."""
    plain = [_plain(name) for name in names]
    times = Counter(plain)
    alike = sorted(name for name, form in zip(names, plain, strict=True) if times[form] > 1)
    notes = []
    if alike:
        shown = Counter(map(visible, alike))
        texts = [ascii(name) if shown[visible(name)] > 1 else name for name in alike]
        notes.append(
            'classes whose names differ only in capital letters, blanks, accents or zeros before '
            f'numbers are counted apart: {shorten(texts, 8)}. Correct the labels if they are the '
            'same'
        )
    if empty := [i for i, name in enumerate(names) if not visible(name)]:
        notes.append(f'class {shorten(empty)} of {len(names)} has an empty name. Give it one')
    return notes


def visible(name: str) -> str:
    """Return a name without what cannot be seen: characters of no width, and blanks around it."""
    return unicodedata.normalize('NFC', name.translate(UNSEEN)).strip()


def _plain(name: str) -> str:
    composed = unicodedata.normalize('NFKC', visible(name))
    text = re.sub(r'[\s_]+|(?<=\w)-(?=\w)', ' ', composed).strip().casefold() or name
    return str(int(text)) if re.fullmatch('[0-9]{1,9}', text) else text
