"""The boxes and the truth of one picture, and which box found which object."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

IOU = 0.5  # of a box that has found an object


@dataclass(kw_only=True)
class Picture:
    """Boxes and truth of one picture, the surest box first.

    Attributes:
        path: Of the file.
        boxes: ``(N, 4)``: x1, y1, x2, y2 in pixels.
        scores: ``(N,)``, from 0 to 1, falling.
        labels: ``(N,)``.
        areas: ``(N,)``: of the boxes, or of the masks, in pixels.
        truth_boxes: ``(M, 4)``: x, y, width, height in pixels.
        truth_labels: ``(M,)``.
        truth_areas: ``(M,)``: as the annotations say, in pixels.
        truth_crowd: ``(M,)``: regions in which boxes count neither as right nor as wrong.
        mask_ious: ``(N, M)``: IoUs of masks, or ``None`` for those of boxes.
    """

    path: str
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    areas: np.ndarray
    truth_boxes: np.ndarray
    truth_labels: np.ndarray
    truth_areas: np.ndarray
    truth_crowd: np.ndarray
    mask_ious: np.ndarray | None = None

    @cached_property
    def ious(self) -> np.ndarray:
        """IoU of each box with each object, ``(N, M)``."""
        if self.mask_ious is not None:
            return self.mask_ious
        if not len(self.boxes) or not len(self.truth_boxes):
            return np.zeros((len(self.boxes), len(self.truth_boxes)))
        from pycocotools import mask

        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        boxes = np.concatenate([self.boxes[:, :2], sizes], 1)
        return mask.iou(boxes, self.truth_boxes, self.truth_crowd.astype(np.uint8).tolist())

    @cached_property
    def match(self) -> 'Match':
        """Which box found which object of its class, as COCO's evaluation matches them.

        The surest box chooses first, the object with the greatest IoU that no other has found.
        """
        same = self.labels[:, None] == self.truth_labels[None]
        free = np.where(same & ~self.truth_crowd, self.ious, -1.0)
        truth_of = np.full(len(free), -1)
        for box in np.flatnonzero(free.max(1, initial=-1.0) >= IOU):
            truth = free[box].argmax()
            if free[box, truth] >= IOU:
                truth_of[box] = truth
                free[:, truth] = -1.0
        crowds = np.where(same & self.truth_crowd, self.ious, -1.0).max(1, initial=-1.0)
        return Match(truth_of, (truth_of < 0) & (crowds >= IOU))


@dataclass
class Match:
    """Which box found which object at an IoU of 0.5.

    Attributes:
        truth_of: ``(N,)``: the object that each box found, or -1.
        in_crowd: ``(N,)``: whether a box that found none lies in a crowd of its class.
    """

    truth_of: np.ndarray
    in_crowd: np.ndarray


def pictures_of(records: Sequence[dict[str, Any]], kind: str = 'bbox') -> list[Picture]:
    """Return the pictures of a test.

    Args:
        records: What ``DetectionRecorder`` kept.
        kind: ``'bbox'``, or ``'segm'`` for areas and IoUs of masks.
    """
    return [_picture(record, kind) for record in records]


def _picture(record: dict[str, Any], kind: str) -> Picture:
    # float32, as the detector returned them, in double precision
    boxes = np.asarray(record['boxes'], np.float32).reshape(-1, 4).astype(float)
    scores = np.asarray(record['scores'], np.float32).astype(float)
    truth_boxes = np.asarray(record['truth_boxes'], float).reshape(-1, 4)
    areas, ious = np.prod(boxes[:, 2:] - boxes[:, :2], 1), None
    if kind == 'segm':
        areas = np.asarray(record['mask_areas'], float)
        ious = np.zeros((len(boxes), len(truth_boxes)))
        for i, j, iou in record['mask_ious']:
            ious[i, j] = iou
    order = np.argsort(-scores, kind='stable')
    return Picture(
        path=record.get('path', ''),
        boxes=boxes[order],
        scores=scores[order],
        labels=np.asarray(record['labels'], int)[order],
        areas=areas[order],
        truth_boxes=truth_boxes,
        truth_labels=np.asarray(record['truth_labels'], int),
        truth_areas=np.asarray(record['truth_areas'], float),
        truth_crowd=np.asarray(record.get('truth_crowd') or [0] * len(truth_boxes), bool),
        mask_ious=None if ious is None else ious[order],
    )
