"""What the readers of all formats give: images, their label files, and the objects in these.

``write_coco.py`` makes files in COCO's format of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pycocotools import mask as coco_mask

from ..data_checks.findings import Finding
from ..errors import InputError

TOO_MANY = 0.1  # share of the images of a split that may be left out
Size = tuple[int, int]  # width, height
Box = tuple[float, float, float, float]  # left, top, right, bottom

# Why an image is left out, and what to do about it
REASONS = {
    'image cannot be read': 'Replace the files',
    'image has another size than its labels say': 'Correct the size in the label files, or the '
    'boxes',
    'label cannot be read': 'Correct the label files',
    'class id without a name': 'Add the missing names to the list of classes, or correct the ids',
}


class Shape(NamedTuple):
    """One object in an image.

    Attributes:
        name: Its class.
        box: Left, top, right, bottom in pixels; 0, 0 is the outer corner of the first pixel.
        polygons: Outlines, each ``[x, y, x, y, ...]`` in pixels; none if there is only a box.
        rle: The mask as pycocotools' RLE, instead of ``polygons``.
        is_ignored: Whether it is neither trained on nor measured, as VOC's difficult objects.
    """

    name: str
    box: Box
    polygons: Sequence[list[float]] = ()
    rle: dict[str, Any] | None = None
    is_ignored: bool = False


def to_rle(shape: Shape, size: Size) -> dict[str, Any] | None:
    """Return the mask of an object in an image of a width and height; ``None`` without a mask."""
    if shape.rle or not shape.polygons:
        return shape.rle
    outlines = coco_mask.frPyObjects(list(shape.polygons), size[1], size[0])
    return coco_mask.merge(outlines)


class Labels(NamedTuple):
    """What a label file says about one image.

    Attributes:
        shapes: The objects; none for background.
        size: Width and height of the image that was labelled, if the file says it.
        left_out: What in the file is left out, one word or two for each.
    """

    shapes: list[Shape]
    size: Size | None = None
    left_out: Sequence[str] = ()


class Item(NamedTuple):
    """One image, and its label file if it has one."""

    image: Path
    labels: Path | None


class UnusableError(InputError):
    """An image that cannot be used; ``reason`` is a key of ``REASONS``."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass
class LabelledImages:
    """A user's images and labels, before any image was opened.

    Attributes:
        root: The folder.
        splits: Items of each split, by ``'train'``, ``'val'`` and ``'test'``.
        read: Reads what a label file says about an image of a width and height.
        classes: Names of the classes, in the order of their numbers.
        notes: What the user should know, one line each.
        findings: What was found in the files.
        form: What the numbers of a box are, in words.
    """

    root: Path
    splits: dict[str, list[Item]]
    read: Callable[[Path, Path, Size], Labels]
    classes: Sequence[str]
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    form: str = 'left, top, right, bottom in pixels'


def left_out_kind(number: int, total: int) -> str:
    """Return the kind of finding of a number of images that are left out of a split."""
    too_many = number == total or number > max(1, TOO_MANY * total)
    return 'too many images left out' if too_many else 'image left out'
