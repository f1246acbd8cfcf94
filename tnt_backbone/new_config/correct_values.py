"""Corrections of single values of COCO files: numbers as texts, missing boxes, flat polygons.

Each changes the content in place and returns what it changed, one line per change.
"""

import ast
import math
from collections import Counter
from typing import Any

from ..data_checks.coco import FEW_REPEATED, find_repeated, find_turned, turn_of
from ..data_checks.coco_file import to_box
from ..data_checks.coco_masks import box_of_mask
from ..data_checks.coco_values import is_finite, is_flag
from .shapes import around, turn_box

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


def turned_boxes(content: Content) -> list[str]:
    """Rectangles that were rotated in CVAT, whose box is that before the rotation."""
    turned = find_turned(content['annotations'])
    for entry in turned:
        x, y, width, height = to_box(entry['bbox']) or (0.0,) * 4
        corners = turn_box((x, y, x + width, y + height), math.radians(turn_of(entry)))
        left, top, right, bottom = around(corners)
        entry['bbox'] = [left, top, right - left, bottom - top]
        entry['segmentation'] = [[value for point in corners for value in point]]
        entry['attributes'] = {**entry['attributes'], 'rotation': 0.0}
    text = 'boxes of rotated rectangles became upright ones around them (attributes.rotation)'
    return [f'{len(turned)} {text}'] if turned else []


def boxes(content: Content) -> list[str]:
    """Boxes that are texts, or missing beside a mask, and areas that are none."""
    changes: Counter[str] = Counter()
    for entry in content['annotations']:
        box = to_box(entry.get('bbox'))
        if box is None or not any(box[2:]):
            of_mask = box_of_mask(entry.get('segmentation'))
            if of_mask is not None:
                changes['annotations got the bbox of their masks'] += 1
                box = of_mask
        elif box != entry['bbox']:
            changes['annotations had a bbox that was not written as numbers'] += 1
        if box is None:
            continue  # refused by the reader
        entry['bbox'] = box
        area = entry.get('area')
        # MMDetection leaves out what has no area
        if not is_finite(area) or (area <= 0 and min(box[2:]) >= 1):
            entry['area'] = box[2] * box[3]
            changes['annotations got the area of their bbox'] += 1
    return [f'{number} {text}' for text, number in changes.items()]


def run_lengths(content: Content) -> list[str]:
    """Run lengths in a list, and counts that Python wrote as ``b'...'``."""
    changes: Counter[str] = Counter()
    for entry in content['annotations']:
        found = entry.get('segmentation')
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict):
            entry['segmentation'] = found = found[0]
            changes['segmentations were run lengths in a list'] += 1
        counts = found.get('counts') if isinstance(found, dict) else None
        if isinstance(counts, str) and counts[:2] in ("b'", 'b"'):
            try:
                entry['segmentation'] = {**found, 'counts': ast.literal_eval(counts).decode()}
            except (ValueError, SyntaxError, AttributeError):
                continue  # refused later
            changes["counts of run lengths were written as b'...'"] += 1
    return [f'{number} {text}' for text, number in changes.items()]


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


def repeated(content: Content) -> list[str]:
    """Annotations that are equal but for their ids, where they are many."""
    boxes = content['annotations']
    needed = {'image_id', 'category_id'}
    if not all(to_box(box.get('bbox')) and needed <= box.keys() for box in boxes):
        return []  # refused by the reader
    again = find_repeated(boxes)
    if len(again) <= FEW_REPEATED * len(boxes):
        return []
    numbers = {id(box) for box in again}
    content['annotations'] = [box for box in boxes if id(box) not in numbers]
    return [f'{len(again)} of {len(boxes)} annotations repeated another one and were left out']
