"""Boxes in NumPy: anchors, decoding and suppression, equal by value to MMDetection's and mmcv's.

Boxes are ``(N, 4)``: x1, y1, x2, y2 in pixels, float32. All arithmetic is in single precision, as
there, so that a box at a threshold falls on the same side.
"""

from typing import Any

import numpy as np


def grid_anchors(base: Any, stride: Any, rows: int, columns: int) -> np.ndarray:
    """Return the anchors of one level ``(rows * columns * A, 4)``, cell by cell.

    Args:
        base: ``(A, 4)`` anchors of the first cell.
        stride: Width and height of a cell, in pixels.
        rows: Cells of the level.
        columns: Likewise.
    """
    x, y = (
        np.arange(count).astype(np.float32) * np.float32(side)
        for count, side in zip((columns, rows), stride, strict=True)
    )
    across, down = np.tile(x, rows), np.repeat(y, columns)
    shifts = np.stack([across, down, across, down], axis=1)
    return (np.asarray(base, np.float32)[None] + shifts[:, None]).reshape(-1, 4)


def decode(
    boxes: np.ndarray, deltas: np.ndarray, coder: dict[str, Any], shape: tuple[int, int]
) -> np.ndarray:
    """Return what MMDetection's ``DeltaXYWHBBoxCoder.decode`` returns.

    Args:
        boxes: ``(N, 4)`` anchors or regions.
        deltas: ``(N, 4)``.
        coder: ``means`` and ``stds`` of the deltas, ``clip_border``.
        shape: Height and width of the picture without padding, which boxes are clipped to.
    """
    means, stds = (np.array(coder[key], np.float32) for key in ('means', 'stds'))
    deltas = deltas * stds + means
    centres = (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)
    sides = boxes[:, 2:] - boxes[:, :2]
    largest = np.float32(abs(np.log(16 / 1000)))  # its wh_ratio_clip
    centres = centres + sides * deltas[:, :2]
    half = sides * np.exp(deltas[:, 2:].clip(-largest, largest)) * np.float32(0.5)
    decoded = np.concatenate([centres - half, centres + half], axis=1)
    if coder['clip_border']:
        limits = np.array([shape[1], shape[0]] * 2, np.float32)
        decoded = decoded.clip(0, limits)
    return decoded


def is_large(boxes: np.ndarray, least: float) -> np.ndarray:
    """Return which boxes have both sides above ``least``; below 0 it keeps all."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides > least).all(axis=1) if least >= 0 else np.ones(len(boxes), bool)


def suppress(
    boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, nms: dict[str, Any], limit: int
) -> np.ndarray:
    """Return the indices of the boxes that are kept, the highest score first.

    This is mmcv's ``batched_nms`` with ``type='nms'``. Boxes of different groups are moved apart by
    an offset, which also rounds them.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        groups: ``(N,)``: class or level, from 0.
        nms: ``iou_threshold``; ``class_agnostic`` if groups do not matter; ``split_thr``: from this
            number of boxes on (10000) each group is done by itself, and then groups do matter.
        limit: Largest number that is kept; below 1 there is none.
    """
    order = np.argsort(-scores, kind='stable')
    boxes, groups = boxes[order], groups[order]
    if len(boxes) and not nms.get('class_agnostic'):
        offsets = groups.astype(np.float32) * (boxes.max() + np.float32(1))
        boxes = boxes + offsets[:, None]
    threshold = np.float32(nms['iou_threshold'])
    if len(boxes) < nms.get('split_thr', 10000):
        return order[_kept(boxes, threshold, limit)]
    kept = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        kept.append(members[_kept(boxes[members], threshold, limit)])
    return order[np.sort(np.concatenate(kept))[: limit if limit > 0 else None]]


def _kept(boxes: np.ndarray, threshold: np.float32, limit: int) -> list[int]:
    """Return the indices of the boxes that no earlier one covers."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left: np.ndarray = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and not 0 < limit <= len(kept):
        first, left = left[0], left[1:]
        kept.append(first)
        others = boxes[left]
        corner = np.maximum(boxes[first, :2], others[:, :2])
        sides = (np.minimum(boxes[first, 2:], others[:, 2:]) - corner).clip(0)
        shared = sides[:, 0] * sides[:, 1]
        with np.errstate(invalid='ignore'):  # two boxes without area: NaN, kept as in mmcv
            overlaps = shared / (areas[first] + areas[left] - shared)
        left = left[~(overlaps > threshold)]
    return kept
