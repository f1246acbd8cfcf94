"""What the values of a COCO file must be: a rule for each key that somebody reads."""

import math
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Entry = dict[str, Any]


class Rule(NamedTuple):
    """What a value must be.

    Attributes:
        fits: Whether a value is allowed.
        words: What is allowed, for a message.
        is_needed: Whether each entry must have the key.
    """

    fits: Callable[[Any], bool]
    words: str
    is_needed: bool = True


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number that fits into a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_id(value: Any) -> bool:
    """Return whether a value can be an id: a number or a text."""
    return isinstance(value, str) or is_finite(value)


def is_file_name(value: Any) -> bool:
    """Return whether a value can be the name of a file."""
    if not isinstance(value, str) or not value or '\0' in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def is_flag(value: Any) -> bool:
    """Return whether a value is 0 or 1: every text, also ``'0'``, counts as 1 for Python."""
    return isinstance(value, int | float) and value in (0, 1)


def _is_side(value: Any) -> bool:
    return is_finite(value) and value > 0


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _is_encodable(value)


def _is_encodable(text: str) -> bool:
    """Return whether a text has no half of a character."""
    return text.isascii() or text == text.encode(errors='replace').decode()


ID = Rule(is_id, 'a number or a text')
SIDE = Rule(_is_side, 'a number of pixels above 0')
FLAG = Rule(is_flag, '0 or 1', is_needed=False)
# The lists of a file, and what each entry has. The boxes are looked at by themselves.
SECTIONS: dict[str, dict[str, Rule]] = {
    'images': {
        'id': ID,
        'file_name': Rule(is_file_name, 'the name of a file'),
        'width': SIDE,
        'height': SIDE,
    },
    'annotations': {
        'id': ID,
        'image_id': ID,
        'category_id': ID,
        'bbox': Rule(lambda value: True, 'four numbers'),
        'area': Rule(is_finite, 'a finite number'),
        'iscrowd': FLAG,
        'ignore': FLAG,
    },
    'categories': {'id': ID, 'name': Rule(_is_name, 'a text')},
}


def find_fault(section: str, entries: Iterable[Any]) -> str | None:
    """Return what is wrong with the first wrong entry of a list, or ``None``.

    Args:
        section: A key of ``SECTIONS``.
        entries: The list.
    """
    rules = SECTIONS[section]
    needed = [key for key, rule in rules.items() if rule.is_needed]
    for entry in entries:
        if not isinstance(entry, dict):
            return f'an entry of "{section}" is {_short(entry)}, not an object with {needed}'
        if missing := [key for key in needed if key not in entry]:
            return f'an entry of "{section}" has no {", ".join(missing)}: {_short(entry)}'
    for key, rule in rules.items():
        for entry in entries:
            if key in entry and not rule.fits(entry[key]):
                return (
                    f'{key} of an entry of "{section}" is {_short(entry[key])}, but it must be '
                    f'{rule.words}: {_short(entry)}'
                )
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + '...'
