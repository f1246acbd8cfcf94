"""Masks to COCO annotations (format: https://cocodataset.org/#format-data)."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .digits import CLASSES
from .scenes import Instance


def category_id(label: int) -> int:
    """Category id of a class, also its value in the semantic masks, where 0 is the background."""
    return label + 1  # COCO's ids count from 1


CATEGORIES: list[dict[str, Any]] = [
    dict(id=category_id(label), name=name, supercategory='digit')
    for label, name in enumerate(CLASSES)
]


def polygons(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Outlines of a mask along the edges of its pixels; rasterised, they give the mask again.

    Args:
        mask: ``(H, W)``, not empty.

    Returns:
        One ring ``[x0, y0, x1, y1, ...]`` for each part of the mask. COCO's polygons know no holes,
        so the loop of a 0 is part of the ring, reached over a bridge of no width.
    """
    # At twice the size, the outline through border pixels lies at 2i - 1 or 2i for an edge at i.
    doubled = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    edges = [(contour[:, 0] + 1) // 2 for contour in contours]  # (K, 2) each, x and y
    parents = hierarchy[0, :, 3]
    rings: list[list[float]] = []
    for number, outline in enumerate(edges):
        if parents[number] >= 0:
            continue  # a hole: it belongs to its parent's ring
        ring = [outline, outline[:1]]
        for hole in np.flatnonzero(parents == number):
            ring += [
                edges[hole],
                edges[hole][:1],
                outline[:1],
            ]  # there and back over the same bridge
        rings.append(np.vstack(ring).astype(float).ravel().tolist())
    return rings


def box(mask: NDArray[np.bool_]) -> list[float]:
    """Extent ``[x, y, width, height]`` of a mask that is not empty, in pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = columns[0], rows[0]
    return [float(x), float(y), float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)]


def annotation(instance: Instance, *, annotation_id: int, image_id: int) -> dict[str, Any]:
    """One digit of a scene; ``digit_index`` (its sample in ``load_digits``) is our own addition."""
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=category_id(instance.digit.label),
        bbox=box(instance.mask),
        area=float(instance.mask.sum()),
        segmentation=polygons(instance.mask),
        iscrowd=0,
        digit_index=instance.digit.index,
    )


def semantic_mask(instances: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Class of every pixel ``(H, W)``: 0 for the background, else the category id."""
    classes = np.zeros(size, np.uint8)
    for instance in instances:
        classes[instance.mask] = category_id(instance.digit.label)
    return classes
