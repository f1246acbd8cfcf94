"""From what the networks of a detector return to objects: MMDetection's steps in NumPy.

Sources, in MMDetection 3.3.0: ``BaseDenseHead._predict_by_feat_single`` (:func:`dense_objects`),
``RPNHead._predict_by_feat_single`` (:func:`propose`), ``BBoxHead._predict_by_feat_single``
(:func:`region_objects`), ``DETRHead._predict_by_feat_single`` (:func:`query_objects`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .boxes import decode, grid_anchors, is_large, suppress


@dataclass(frozen=True)
class Place:
    """Sizes of one picture.

    Attributes:
        shape: Height and width after the pipeline, without padding.
        scale: Width and height after the pipeline, relative to the picture's own.
    """

    shape: tuple[int, int]
    scale: tuple[float, float]

    def to_picture(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes in pixels of the picture itself."""
        return boxes * np.array([1 / side for side in self.scale] * 2, np.float32)


@dataclass(frozen=True)
class Objects:
    """Objects of one picture, the most certain first.

    Attributes:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        labels: ``(N,)``, int64.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def _rows(level: np.ndarray, width: int) -> np.ndarray:
    """Return a map's numbers cell by cell: ``(A * width, h, w) -> (h * w * A, width)``."""
    return level.transpose(1, 2, 0).reshape(-1, width)


def _suppressed(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, settings: dict[str, Any]
) -> Objects:
    kept = suppress(boxes, scores, labels, settings['nms'], settings['max_per_img'])
    return Objects(boxes[kept], scores[kept], labels[kept])


def dense_objects(
    scores: Sequence[np.ndarray],
    deltas: Sequence[np.ndarray],
    factors: Sequence[np.ndarray],
    settings: dict[str, Any],
    place: Place,
) -> Objects:
    """Return the objects of a picture from the maps of a one-stage head.

    Args:
        scores: For each level ``(A * C, h, w)``, 0 to 1.
        deltas: For each level ``(A * 4, h, w)``.
        factors: For each level ``(A, h, w)``, what scores are multiplied by; or nothing.
        settings: Of the file's metadata.
        place: Sizes of the picture.
    """
    found = []
    anchors = _anchors(scores, settings)
    for level, (level_scores, level_deltas) in enumerate(zip(scores, deltas, strict=True)):
        rows = _rows(level_scores, settings['num_classes'])
        cells, labels = np.nonzero(rows > np.float32(settings['score_thr']))
        values = rows[cells, labels]
        order = np.argsort(-values, kind='stable')[: min(settings['nms_pre'], len(values))]
        cells, labels, values = cells[order], labels[order], values[order]
        if factors:
            level_factors = _rows(factors[level], 1)[cells, 0]
        else:
            level_factors = np.ones(len(cells), np.float32)
        boxes = decode(
            anchors[level][cells], _rows(level_deltas, 4)[cells], settings['coder'], place.shape
        )
        found.append((boxes, values * level_factors, labels))
    boxes, values, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    boxes = place.to_picture(boxes)
    large = is_large(boxes, settings['min_bbox_size'])
    return _suppressed(boxes[large], values[large], labels[large], settings)


def propose(
    scores: Sequence[np.ndarray],
    deltas: Sequence[np.ndarray],
    settings: dict[str, Any],
    place: Place,
) -> np.ndarray:
    """Return the regions of a picture ``(N, 4)``, the most certain first.

    Args:
        scores: For each level ``(A, h, w)``, 0 to 1.
        deltas: For each level ``(A * 4, h, w)``.
        settings: Of the file's metadata.
        place: Sizes of the picture.
    """
    found = []
    anchors = _anchors(scores, settings)
    for level, (level_scores, level_deltas) in enumerate(zip(scores, deltas, strict=True)):
        values, rows = _rows(level_scores, 1)[:, 0], _rows(level_deltas, 4)
        kept: np.ndarray = np.arange(len(values))
        if 0 < settings['nms_pre'] < len(values):
            kept = np.argsort(-values, kind='stable')[: settings['nms_pre']]
        boxes = decode(anchors[level][kept], rows[kept], settings['coder'], place.shape)
        found.append((boxes, values[kept], np.full(len(kept), level)))
    boxes, values, levels = (np.concatenate(part) for part in zip(*found, strict=True))
    large = is_large(boxes, settings['min_bbox_size'])
    return _suppressed(boxes[large], values[large], levels[large], settings).boxes


def region_objects(
    regions: np.ndarray,
    scores: np.ndarray,
    deltas: np.ndarray,
    settings: dict[str, Any],
    place: Place,
    *,
    to_picture: bool,
) -> Objects:
    """Return the objects of a picture from the outputs of a box head.

    Args:
        regions: ``(N, 4)``.
        scores: ``(N, C + 1)``, the background last.
        deltas: ``(N, C * 4)``, or ``(N, 4)`` for all classes.
        settings: Of the file's metadata.
        place: Sizes of the picture.
        to_picture: Return boxes in pixels of the picture itself, and suppress them there.
    """
    num_classes = scores.shape[1] - 1
    per_region = deltas.shape[1] // 4
    boxes = decode(
        np.repeat(regions, per_region, axis=0),
        deltas.reshape(-1, 4),
        settings['coder'],
        place.shape,
    )
    if to_picture:
        boxes = place.to_picture(boxes)
    boxes = np.broadcast_to(boxes.reshape(-1, per_region, 4), (len(regions), num_classes, 4))
    rows, labels = np.nonzero(scores[:, :-1] > np.float32(settings['score_thr']))
    kept = suppress(
        boxes[rows, labels], scores[rows, labels], labels, settings['nms'], settings['max_per_img']
    )
    rows, labels = rows[kept], labels[kept]
    return Objects(boxes[rows, labels], scores[rows, labels], labels)


def levels_of(regions: np.ndarray, finest_scale: float, num_levels: int) -> np.ndarray:
    """Return the level that each region ``(N, 4)`` is read from (``SingleRoIExtractor``)."""
    sides = regions[:, 2:] - regions[:, :2]
    scale = np.sqrt(sides[:, 0] * sides[:, 1])
    with np.errstate(divide='ignore'):
        level = np.floor(np.log2(scale / np.float32(finest_scale) + np.float32(1e-6)))
    return level.clip(0, num_levels - 1).astype(np.int64)


def _anchors(scores: Sequence[np.ndarray], settings: dict[str, Any]) -> list[np.ndarray]:
    return [
        grid_anchors(base, stride, *level.shape[1:])
        for base, stride, level in zip(
            settings['anchors'], settings['strides'], scores, strict=True
        )
    ]


def query_objects(
    scores: np.ndarray, boxes: np.ndarray, settings: dict[str, Any], place: Place
) -> Objects:
    """Return the objects of a picture from its queries.

    Args:
        scores: ``(Q, C)``, 0 to 1.
        boxes: ``(Q, 4)``: centre x, centre y, width, height, relative to the picture.
        settings: Of the file's metadata.
        place: Sizes of the picture.
    """
    best = scores.max(axis=1)
    order = np.argsort(-best, kind='stable')[: settings['max_per_img']]
    centres, halves = boxes[order, :2], np.float32(0.5) * boxes[order, 2:]
    sides = np.array(place.shape[::-1] * 2, np.float32)
    corners = np.concatenate([centres - halves, centres + halves], axis=1) * sides
    inside = np.clip(corners, 0, sides)
    return Objects(place.to_picture(inside), best[order], scores[order].argmax(axis=1))
