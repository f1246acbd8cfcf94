"""Outlines of shapes that annotation tools draw."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from .labelled import Box

CORNERS = 64  # of the polygon of a circle or an ellipse
Points = list[tuple[float, float]]


def around(points: Iterable[tuple[float, float]]) -> Box:
    """Return the box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def ellipse(centre: tuple[float, float], rx: float, ry: float, turn: float = 0.0) -> Points:
    """Return the outline of an ellipse, turned by an angle in radians from x towards y."""
    x, y = centre
    angles = [2 * math.pi * i / CORNERS for i in range(CORNERS)]
    outline = [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]
    return rotate(outline, centre, turn) if turn else outline


def rotate(points: Points, centre: tuple[float, float], turn: float) -> Points:
    """Return points turned about a centre by an angle in radians from x towards y."""
    x0, y0 = centre
    c, s = math.cos(turn), math.sin(turn)
    return [(x0 + c * (x - x0) - s * (y - y0), y0 + s * (x - x0) + c * (y - y0)) for x, y in points]


def turn_box(box: Box, turn: float) -> Points:
    """Return the corners of a box that is turned about its centre, as :func:`rotate` does."""
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return rotate(corners, ((left + right) / 2, (top + bottom) / 2), turn)


def rle_to_text(rle: Any) -> dict[str, Any]:
    """Return an RLE of pycocotools as it is written to JSON."""
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode()}


def to_mask(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Return a mask ``(H, W)``, uint8, of polygons or run lengths, as pycocotools reads them."""
    if isinstance(segmentation, list):
        runs = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    elif isinstance(segmentation['counts'], list):
        runs = coco_mask.frPyObjects(segmentation, *size)
    else:
        runs = segmentation
    return coco_mask.decode(runs)
