"""Masks of COCO files: which ones pycocotools reads as they were meant.

pycocotools trusts them. A polygon with NaN ends the process, one with huge coordinates fills the
memory, and of run lengths that are too short the rest of the mask is whatever the memory held.
"""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ..errors import InputError

FARTHEST = 100  # sides of the image that a point may lie outside
BITS = 5  # of a run length in each character of a text
FIRST = 48  # character of the value 0
LONGEST = 10  # characters of a run length


def find_mask_fault(segmentation: Any, height: float, width: float) -> str | None:
    """Return why a segmentation cannot be read, or ``None``.

    Args:
        segmentation: Polygons ``[[x, y, x, y, x, y, ...], ...]``, or an RLE
            ``{'size': [height, width], 'counts': ...}``.
        height: Of the image, in pixels.
        width: Likewise.
    """
    if isinstance(segmentation, dict):
        return _fault_of_runs(segmentation, height, width)
    if not isinstance(segmentation, list):
        return 'it is neither a list of polygons nor an RLE'
    farthest = FARTHEST * max(height, width)
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return 'a polygon has fewer than 3 points, or half a point'
        for value in polygon:
            # a comparison with NaN is never true
            if not isinstance(value, int | float) or not -farthest <= value <= farthest:
                return f'a polygon has the coordinate {str(value)[:40]}'
    return None


def box_of_mask(mask: Any) -> list[float] | None:
    """Return the box around polygons or run lengths, or ``None`` if they are not readable."""
    if isinstance(mask, dict):
        size = mask.get('size')
        if not isinstance(size, list) or len(size) != 2 or find_mask_fault(mask, *size):
            return None
        height, width = size
        runs = mask
        if isinstance(mask['counts'], list):
            runs = coco_mask.frPyObjects(mask, height, width)
        box: list[float] = coco_mask.toBbox(runs).tolist()
        return box if any(box[2:]) else None
    try:
        points = np.concatenate([np.asarray(part, float).reshape(-1, 2) for part in mask])
    except (TypeError, ValueError, OverflowError):
        return None
    if len(points) < 3 or not np.isfinite(points).all():
        return None
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return [left, top, right - left, bottom - top]


def _fault_of_runs(runs: dict[str, Any], height: float, width: float) -> str | None:
    size, counts = runs.get('size'), runs.get('counts')
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        return f'its RLE has the size {str(size)[:40]}, but the image has {[height, width]}'
    if isinstance(counts, list):
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            return 'its RLE has counts that are no whole numbers from 0 on'
        total = sum(counts)
    elif isinstance(counts, str | bytes) and counts:
        try:
            total = int(_decode(counts).sum())
        except InputError as error:
            return f'its RLE {error}'
    else:
        return 'its RLE has no counts'
    if total != height * width:
        return f'its RLE is for {total} pixels, but the image has {height * width}'
    return None


def _decode(counts: str | bytes) -> np.ndarray:
    """Return the run lengths of a text, int64.

    The lower five bits of a character are a part of a number, the least significant one first, and
    the sixth bit says that another part follows. From the fourth number on, each is the difference
    to the one before the last. Source: ``rleFrString`` of
    https://github.com/cocodataset/cocoapi/blob/8c9bcc3/common/maskApi.c.

    Raises:
        ValueError: If the text has another character, ends within a number, or a run length is
            under 0.
    """
    data = counts.encode('latin-1', 'replace') if isinstance(counts, str) else counts
    parts = np.frombuffer(data, np.uint8).astype(np.int64) - FIRST
    if ((parts < 0) | (parts >= 2 ** (BITS + 1))).any():
        raise InputError('has a character that no RLE has')
    is_last = parts < 2**BITS
    if not is_last[-1]:
        raise InputError('is cut off')
    starts = np.flatnonzero(np.append(True, is_last[:-1]))
    lengths = np.diff(np.append(starts, len(parts)))
    if lengths.max() > LONGEST:
        raise InputError('has a run length that is too large')
    shifts = BITS * (np.arange(len(parts)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((parts % 2**BITS) << shifts, starts)
    is_negative = (parts[is_last] & 2 ** (BITS - 1)) > 0
    numbers = numbers - (is_negative.astype(np.int64) << (BITS * lengths))
    runs = numbers.copy()
    runs[1::2] = np.cumsum(numbers[1::2])
    runs[2::2] = np.cumsum(numbers[2::2])
    if (runs < 0).any():
        raise InputError('has a run length under 0')
    return runs
