"""Corrections of single values of COCO files: numbers as texts, missing boxes, flat polygons.

Each changes the content in place and returns what it changed, one line per change.
"""

from collections import Counter
from typing import Any

import numpy as np

from ..data_checks.coco_file import to_box
from ..data_checks.coco_values import is_finite, is_flag

Content = dict[str, Any]
FLAGS = {'0': 0, '1': 1, 'false': 0, 'true': 1, 'none': 0}  # by their texts in small letters


def crowds(content: Content) -> list[str]:
    """COCO's evaluation asks every annotation, and takes the text '0' for 1."""
    missing = [entry for entry in content['annotations'] if 'iscrowd' not in entry]
    changes = [f'{len(missing)} annotations got iscrowd=0'] if missing else []
    for entry in missing:
        entry['iscrowd'] = 0
    for key in ('iscrowd', 'ignore'):
        wrong = [
            entry
            for entry in content['annotations']
            if key in entry and not is_flag(entry[key]) and str(entry[key]).strip().lower() in FLAGS
        ]
        for entry in wrong:
            entry[key] = FLAGS[str(entry[key]).strip().lower()]
        if wrong:
            changes.append(f'{len(wrong)} annotations had {key} that was not written as a number')
    return changes


def sizes(content: Content) -> list[str]:
    """Sides of images that are texts."""
    wrong = [
        (image, key, number)
        for image in content['images']
        for key in ('width', 'height')
        if isinstance(image.get(key), str) and (number := _to_number(image[key])) is not None
    ]
    for image, key, number in wrong:
        image[key] = number
    return [f'{len(wrong)} sides of images were texts'] if wrong else []


def _to_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not is_finite(number):
        return None
    return int(number) if number.is_integer() else number


def names_of_categories(content: Content) -> list[str]:
    """Names of categories that are numbers."""
    numbers = [c for c in content['categories'] if is_finite(c.get('name'))]
    for category in numbers:
        category['name'] = str(category['name'])
    return [f'{len(numbers)} names of categories were numbers'] if numbers else []


def boxes(content: Content) -> list[str]:
    """Boxes that are texts or missing beside polygons, and areas that are no numbers."""
    changes: Counter[str] = Counter()
    for entry in content['annotations']:
        box = to_box(entry.get('bbox'))
        if box is not None:
            if box != entry['bbox']:
                changes['annotations had a bbox that was not written as numbers'] += 1
        elif (box := _box_of_polygons(entry.get('segmentation'))) is not None:
            changes['annotations got the bbox of their polygons'] += 1
        else:
            continue  # refused by the reader
        entry['bbox'] = box
        if not is_finite(entry.get('area')):
            entry['area'] = box[2] * box[3]
            changes['annotations got the area of their bbox'] += 1
    return [f'{number} {text}' for text, number in changes.items()]


def _box_of_polygons(polygons: Any) -> list[float] | None:
    try:
        points = np.concatenate([np.asarray(part, float).reshape(-1, 2) for part in polygons])
    except (TypeError, ValueError, OverflowError):
        return None
    if len(points) < 3 or not np.isfinite(points).all():
        return None
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return [left, top, right - left, bottom - top]


def flat_polygons(content: Content) -> list[str]:
    """``[x, y, x, y, ...]`` is one polygon; COCO wants a list of polygons."""
    flat = [
        entry
        for entry in content['annotations']
        if isinstance(found := entry.get('segmentation'), list)
        and len(found) >= 6
        and len(found) % 2 == 0
        and all(isinstance(value, int | float) for value in found)
    ]
    for entry in flat:
        entry['segmentation'] = [entry['segmentation']]
    return [f'{len(flat)} segmentations were a flat list of one polygon'] if flat else []
