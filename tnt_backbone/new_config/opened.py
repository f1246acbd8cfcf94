"""An image as the libraries open it, with its objects: also where EXIF turns it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
from PIL import Image

from ..datasets.load_image import LoadImageOrSkip
from .labelled import Item, LabelledImages, Shape, Size, UnusableError

ORIENTATION = 0x0112  # EXIF's tag

# Where a point of the stored picture lies in the picture that EXIF's orientation turns. The other
# orientations keep width and height, so nothing shows which picture was labelled.
# w, h: size of the stored picture.
TURNS: dict[int, Callable[[float, float, int, int], tuple[float, float]]] = {
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


class Opened(NamedTuple):
    """An image as the libraries open it.

    Attributes:
        size: Width and height.
        shapes: The objects in it.
        left_out: What in its label file is left out.
        is_turned: Whether EXIF turns it, and its labels are taken to fit the turned picture.
    """

    size: Size
    shapes: list[Shape]
    left_out: Sequence[str] = ()
    is_turned: bool = False


def open_image(data: LabelledImages, item: Item) -> Opened | UnusableError:
    """Return an image with its objects, or why it cannot be used."""
    try:
        height, width = LoadImageOrSkip().read(str(item.image)).shape[:2]
    except (OSError, ValueError, cv2.error) as error:
        return UnusableError('image cannot be read', str(error))
    size = width, height
    if item.labels is None:
        return Opened(size, [])
    try:
        labels = data.read(item.labels, item.image, size)
    except UnusableError as error:
        return error
    stored, turn = _look_at_header(item.image)
    if labels.size is None or labels.size == size:
        is_turned = turn in range(2, 9) and bool(labels.shapes)
        return Opened(size, labels.shapes, labels.left_out, is_turned)
    stated = f'{labels.size[0]}x{labels.size[1]}'
    if labels.size != stored or turn not in TURNS:
        text = f'it says {stated} (width x height), but the image has {width}x{height}'
        return UnusableError('image has another size than its labels say', text)
    if any(shape.rle for shape in labels.shapes):
        text = f'it has a mask of {stated}, but EXIF turns the image to {width}x{height}'
        return UnusableError('image has another size than its labels say', text)
    shapes = [turn_shape(shape, turn, stored) for shape in labels.shapes]
    return Opened(size, shapes, labels.left_out)


def _look_at_header(path: Path) -> tuple[Size, int]:
    """Return width and height of the stored picture, and its orientation, as EXIF numbers them."""
    try:
        with Image.open(path) as image:
            return image.size, image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged EXIF makes Pillow fail in many ways
        return (0, 0), 1  # OpenCV could read it


def turn_shape(shape: Shape, orientation: int, stored: Size) -> Shape:
    """Turn an object that was labelled in the stored picture as EXIF turns the picture."""
    turn = TURNS[orientation]
    left, top, right, bottom = shape.box
    xs, ys = zip(turn(left, top, *stored), turn(right, bottom, *stored), strict=True)
    polygons = [
        [value for x, y in zip(p[::2], p[1::2], strict=True) for value in turn(x, y, *stored)]
        for p in shape.polygons
    ]
    return shape._replace(box=(min(xs), min(ys), max(xs), max(ys)), polygons=polygons)
