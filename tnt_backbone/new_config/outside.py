"""Boxes that leave their pictures: a few were drawn so, many are read in the wrong form."""

from collections.abc import Sequence
from typing import NamedTuple

from ..data_checks.findings import Finding, shorten
from .labelled import TOO_MANY, Box, Size

LEAST = 0.1  # share of a box that lies outside, from which it counts


class Seen(NamedTuple):
    """One box that was read.

    Attributes:
        place: The image.
        box: Left, top, right, bottom in pixels.
        size: Width and height of the image.
    """

    place: str
    box: Box
    size: Size


def find_outside(seen: Sequence[Seen], split: str, form: str) -> list[Finding]:
    """Return a finding if boxes leave their pictures by a tenth of their area or more.

    Args:
        seen: All boxes of a split.
        split: Its name.
        form: What the numbers of a box are taken for, in words.
    """
    out = [one for one in seen if share_outside(one.box, one.size) >= LEAST]
    if not out:
        return []
    worst = max(out, key=lambda one: share_outside(one.box, one.size))
    box = ', '.join(f'{value:g}' for value in worst.box)
    text = (
        f'{len(out)} of {len(seen)} boxes leave their pictures by a tenth of their area or more '
        f'({shorten(dict.fromkeys(one.place for one in out))}), such as {box} (left, top, right, '
        f'bottom) in {worst.size[0]}x{worst.size[1]} pixels of {worst.place}. '
    )
    if len(out) <= max(1, TOO_MANY * len(seen)):
        return [Finding('box reaches over the edge', split, f'{text}They are cut off there')]
    text += f'The numbers were read as {form}.'
    if form.startswith('centre') and all(map(_could_be_corners, seen)):
        text += (
            ' In all boxes, the third and fourth number are above the first and second: they look '
            'like two corners (x1, y1, x2, y2).'
        )
    text += ' Write them in the form that is read, or export the data again'
    return [Finding('boxes in another form', split, text)]


def share_outside(box: Box, size: Size) -> float:
    """Return which share of a box's area lies outside its picture."""
    left, top, right, bottom = box
    area = (right - left) * (bottom - top)
    if area <= 0:
        return float(not (0 <= left <= size[0] and 0 <= top <= size[1]))
    width = max(0.0, min(right, size[0]) - max(left, 0))
    height = max(0.0, min(bottom, size[1]) - max(top, 0))
    return 1 - width * height / area


def _could_be_corners(one: Seen) -> bool:
    """Return whether a box that was read as centre and size may be two corners."""
    left, top, right, bottom = one.box
    return right - left > (left + right) / 2 and bottom - top > (top + bottom) / 2
