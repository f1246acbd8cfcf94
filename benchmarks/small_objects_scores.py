"""Scores by the size of the object in pixels: boxes, and the pixels of label maps."""

import contextlib
import copy
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

ALL = (0.0, 1e4)


def box_scores(
    truth: Path, boxes: Path, sizes: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Return average precisions from 0 to 1 (-1 if there is no such object).

    As COCO's, averaged over IoU of 0.5 to 0.95 (``AP_...``) or at 0.5 (``AP50_...``), but the size
    of an object is the longer side of its box in pixels, and the ranges are those of ``sizes``.
    ``..._any`` counts a box of any class.

    Args:
        truth: COCO annotations.
        boxes: Detections in COCO's format of results.
        sizes: Name: least and greatest size, in pixels.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO(str(truth))
        entries = json.loads(boxes.read_text())
        found = expected.loadRes(copy.deepcopy(entries)) if entries else None
    if found is None:  # loadRes refuses an empty list
        return dict.fromkeys(_names(sizes), 0.0)
    for coco in (expected, found):
        for entry in coco.anns.values():
            entry['area'] = max(entry['bbox'][2:]) ** 2  # what COCOeval compares with areaRng
    scores: dict[str, float] = {}
    for suffix, use_classes in (('', 1), ('_any', 0)):
        evaluation = COCOeval(expected, found, 'bbox')
        ranges = {'all': ALL, **sizes}
        evaluation.params.areaRng = [[low**2, high**2] for low, high in ranges.values()]
        evaluation.params.areaRngLbl = list(ranges)
        evaluation.params.useCats = use_classes
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval['precision']  # IoU, recall, class, size, most boxes a picture
        for i, name in enumerate(ranges):
            scores[f'AP_{name}{suffix}'] = _mean(precision[:, :, :, i, -1])
            scores[f'AP50_{name}{suffix}'] = _mean(precision[0, :, :, i, -1])
    return scores


def map_scores(
    truth: Path, maps: Path, found: Path, sizes: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Return what became of the objects' pixels, from 0 to 1, by the size of the object.

    ``pixels_...`` is the share of them that got their class, ``pixels_..._any`` the share that got
    any class but the background. ``IoU_any`` is that of all objects against the background.

    Args:
        truth: COCO annotations; the boxes of a picture do not overlap.
        maps: Folder of the true label maps, named as the pictures; a class is its category id.
        found: Folder of the predicted ones.
        sizes: Name: least and greatest longer side of a box, in pixels.
    """
    document = json.loads(truth.read_text())
    right, some, total = (dict.fromkeys(sizes, 0) for _ in range(3))
    both, either = 0, 0
    for image in document['images']:
        name = f'{Path(image["file_name"]).stem}.png'
        expected, got = (
            cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for folder in (maps, found)
        )
        both += int(((expected > 0) & (got > 0)).sum())
        either += int(((expected > 0) | (got > 0)).sum())
        for entry in document['annotations']:
            if entry['image_id'] != image['id']:
                continue
            left, top, width, height = entry['bbox']
            window = np.s_[int(top) : math.ceil(top + height), int(left) : math.ceil(left + width)]
            mine = expected[window] == entry['category_id']
            side = max(width, height)
            for size, (low, high) in sizes.items():
                if low <= side < high:
                    total[size] += int(mine.sum())
                    some[size] += int((got[window][mine] > 0).sum())
                    right[size] += int((got[window][mine] == entry['category_id']).sum())
    scores = {f'pixels_{size}': right[size] / max(total[size], 1) for size in sizes}
    scores |= {f'pixels_{size}_any': some[size] / max(total[size], 1) for size in sizes}
    return scores | dict(IoU_any=both / max(either, 1))


def _names(sizes: Mapping[str, Any]) -> list[str]:
    return [
        f'{metric}_{name}{suffix}'
        for suffix in ('', '_any')
        for name in ('all', *sizes)
        for metric in ('AP', 'AP50')
    ]


def _mean(precision: np.ndarray) -> float:
    valid = precision[precision > -1]
    return float(valid.mean()) if valid.size else -1.0
