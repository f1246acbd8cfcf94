"""Shapes of LabelMe: polygons, rectangles, circles and masks as boxes and masks of COCO."""

import base64
import io
import math
from collections.abc import Callable
from typing import Any, TypeGuard

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ..data_checks.coco_masks import FARTHEST
from ..data_checks.coco_values import is_finite
from ..data_checks.label_maps import UNREADABLE
from ..errors import InputError
from .labelled import Labels, Shape, Size, UnusableError, to_rle
from .shapes import Points, around, ellipse, rle_to_text

NO_CLASS = ('__ignore__', '_background_')  # LabelMe's names in labels.txt
LEFT_OUT = ('line', 'linestrip', 'point', 'points')  # no area


def read_shapes(content: dict[str, Any], size: Size) -> Labels:
    """Return the objects in a JSON file, in pixels.

    Args:
        content: What is in the file; nothing if it is damaged.
        size: Width and height of the image.

    Raises:
        UnusableError: If a shape is not usable.
    """
    if not content:
        raise UnusableError('label cannot be read', 'it is not JSON')
    width, height = content.get('imageWidth'), content.get('imageHeight')
    stated = (int(width), int(height)) if _is_side(width) and _is_side(height) else None
    if stated and stated not in (size, size[::-1]):
        return Labels([], stated)  # of another image, as the caller will say
    groups: dict[tuple[str, str], list[Shape]] = {}
    left_out = []
    for number, entry in enumerate(content['shapes'], 1):
        try:
            name = label_of(entry)
            if not name:
                raise InputError('it has no label')
            kind = entry.get('shape_type') or 'polygon'
            if kind in LEFT_OUT or name in NO_CLASS:
                left_out.append(f'shape {name!r}' if name in NO_CLASS else f'shape of type {kind}')
                continue
            if kind not in SHAPES:
                raise InputError(f'shape_type {kind!r} is none of {", ".join(SHAPES)}')
            points = [(float(x), float(y)) for x, y in entry['points']]
            if not np.isfinite(points).all():
                raise InputError(f'points {points} are not all finite')
            if np.abs(points).max(initial=0) > FARTHEST * max(size):
                raise InputError(f'a point of {str(points)[:80]} is not near the image')
            shape = SHAPES[kind](name, points, entry, stated or size)
        except (AttributeError, KeyError, TypeError, OverflowError, *UNREADABLE) as error:
            text = f'it has no {error}' if isinstance(error, KeyError) else str(error)
            raise UnusableError('label cannot be read', f'shape {number}: {text}') from error
        group = entry.get('group_id')
        key = (name, f'shape {number}' if group is None else f'group {group}')
        ignored = entry.get('difficult') is True  # of X-AnyLabeling
        groups.setdefault(key, []).append(shape._replace(is_ignored=ignored))
    shapes = [_join(parts, stated or size) for parts in groups.values()]
    return Labels(shapes, stated, left_out)


def label_of(entry: Any) -> str:
    """Return the class of a shape, or an empty text if it has none."""
    label = entry.get('label') if isinstance(entry, dict) else None
    return str(label).strip() if isinstance(label, str | int) else ''


def _is_side(value: Any) -> TypeGuard[float]:
    return is_finite(value) and value >= 1


def _join(parts: list[Shape], size: Size) -> Shape:
    """Return the object that several shapes make."""
    if len(parts) == 1:
        return parts[0]
    boxes = np.array([part.box for part in parts])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    joined = parts[0]._replace(box=(left, top, right, bottom))
    if any(part.rle for part in parts):
        rle = coco_mask.merge([to_rle(part, size) for part in parts])
        return joined._replace(polygons=(), rle=rle_to_text(rle))
    return joined._replace(polygons=[polygon for part in parts for polygon in part.polygons])


# ------------------------------------------------------------------ shapes


def _polygon(name: str, points: Points, _entry: Any, _size: Size) -> Shape:
    if len(points) < 3:
        raise InputError(f'a polygon of {len(points)} points; it needs 3')
    return Shape(name, around(points), [[value for point in points for value in point]])


def _rectangle(name: str, points: Points, _entry: Any, _size: Size) -> Shape:
    if len(points) not in (2, 4):  # two opposite corners, or all
        raise InputError(f'a rectangle of {len(points)} points; it needs 2')
    left, top, right, bottom = box = around(points)
    return Shape(name, box, [[left, top, right, top, right, bottom, left, bottom]])


def _circle(name: str, points: Points, _entry: Any, _size: Size) -> Shape:
    if len(points) != 2:
        raise InputError(f'a circle of {len(points)} points; it needs its centre and one more')
    (x, y), edge = points
    radius = math.dist((x, y), edge)
    polygon = [value for point in ellipse((x, y), radius, radius) for value in point]
    return Shape(name, (x - radius, y - radius, x + radius, y + radius), [polygon])


def _mask(name: str, points: Points, entry: Any, size: Size) -> Shape:
    """Return the pixels that an AI tool of LabelMe marked: a PNG, and where it lies."""
    left, top, _, _ = (round(value) for value in around(points))
    with Image.open(io.BytesIO(base64.b64decode(entry['mask']))) as image:
        width, height = size
        if image.width > width or image.height > height:
            raise InputError(f'a mask of {image.width}x{image.height} in {width}x{height} pixels')
        part = np.asarray(image.convert('L')) > 0
    whole = np.zeros((height, width), np.uint8, order='F')
    part = part[max(-top, 0) :, max(-left, 0) :]
    top, left = max(top, 0), max(left, 0)
    space = whole[top : top + part.shape[0], left : left + part.shape[1]]
    space[:] = part[: space.shape[0], : space.shape[1]]
    if not whole.any():
        raise InputError('a mask without a pixel in the image')
    rle = coco_mask.encode(whole)
    x, y, w, h = coco_mask.toBbox(rle).tolist()
    return Shape(name, (x, y, x + w, y + h), rle=rle_to_text(rle))


SHAPES: dict[str, Callable[[str, Points, Any, Size], Shape]] = {
    'polygon': _polygon,
    'rectangle': _rectangle,
    'circle': _circle,
    'mask': _mask,
    'oriented_rectangle': _polygon,
    'rotation': _polygon,  # X-AnyLabeling's name for it
}
