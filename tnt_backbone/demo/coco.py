"""Masks to COCO annotations (format: https://cocodataset.org/#format-data)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from .digits import CLASSES
from .scenes import Instance


def category_id(label: int) -> int:
    """Return the category id of a class, which is also its value in the semantic masks."""
    return label + 1  # COCO's ids count from 1


CATEGORIES: list[dict[str, Any]] = [
    dict(id=category_id(label), name=name, supercategory='digit')
    for label, name in enumerate(CLASSES)
]


def annotation(instance: Instance, *, annotation_id: int, image_id: int) -> dict[str, Any]:
    """Return the annotation of one digit of a scene, its mask run-length encoded.

    ``digit_index`` (the digit's sample in ``load_digits``) is our own addition.
    """
    encoded = coco_mask.encode(np.asfortranarray(instance.mask, dtype=np.uint8))
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=category_id(instance.digit.label),
        bbox=coco_mask.toBbox(encoded).tolist(),
        area=float(coco_mask.area(encoded)),
        segmentation=dict(size=encoded['size'], counts=encoded['counts'].decode()),
        iscrowd=0,
        digit_index=instance.digit.index,
    )


def semantic_mask(instances: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the class of every pixel ``(H, W)``: 0 for the background, else the category id."""
    classes = np.zeros(size, np.uint8)
    for instance in instances:
        classes[instance.mask] = category_id(instance.digit.label)
    return classes
