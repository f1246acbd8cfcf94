"""Average precision of boxes or masks: per class, and by the size of the objects."""

import contextlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .boxes import Picture

EDGES = (16, 32, 96, 256)  # pixels; 16 is a sentence of TNT, 32 and 96 are COCO's
LARGEST = 1e5  # pixels; COCO's own
MOST = 100  # boxes of a class per picture that count, as in COCO's AP


@dataclass
class Bin:
    """Objects of similar size.

    Attributes:
        low: The least side in pixels: the square root of the object's area.
        high: The greatest.
        objects: How many there are, without crowds.
        ap: Mean over the classes that occur, from 0 to 1; NaN if there is no object.
        ap50: At an IoU of 0.5.
        recall: COCO's AR with 100 boxes.
    """

    low: float
    high: float
    objects: int
    ap: float
    ap50: float
    recall: float


@dataclass
class BoxScores:
    """COCO's numbers with 100 boxes per picture; NaN where a class does not occur.

    Attributes:
        ap: ``(C,)``: mean over IoUs of 0.5 to 0.95.
        ap50: ``(C,)``: at an IoU of 0.5.
        ap75: ``(C,)``: at an IoU of 0.75.
        objects: ``(C,)``: without crowds.
        curves: ``(C, 101)``: precision at recalls of 0 to 1, at an IoU of 0.5.
        bins: By size.
    """

    ap: np.ndarray
    ap50: np.ndarray
    ap75: np.ndarray
    objects: np.ndarray
    curves: np.ndarray
    bins: list[Bin]


def check_edges(edges: Sequence[float]) -> list[float]:
    """Return the edges between bins of sizes.

    Raises:
        ValueError: If they are not rising numbers above 0.
    """
    values = [float(edge) for edge in edges]
    is_rising = all(a < b for a, b in zip([0.0, *values], [*values, LARGEST], strict=True))
    if not values or not is_rising:
        raise InputError(
            f'--sizes {" ".join(f"{edge:g}" for edge in values)} are no rising numbers of pixels '
            f'above 0 and below {LARGEST:g}. Example: --sizes 16 32 96'
        )
    return values


def score_boxes(
    pictures: Sequence[Picture], num_classes: int, edges: Sequence[float] = EDGES
) -> BoxScores:
    """Return COCO's numbers, computed by ``faster-coco-eval`` if installed, else ``pycocotools``.

    Args:
        pictures: Boxes and truth.
        num_classes: ``C``.
        edges: Between the bins of sizes, in pixels.
    """
    limits = [0.0, *check_edges(edges), LARGEST]
    bins = list(itertools.pairwise(limits))
    evaluator = _evaluator(pictures, num_classes)
    parameters = evaluator.params
    parameters.maxDets = [MOST]
    parameters.areaRng = [[0, LARGEST**2], *([low**2, high**2] for low, high in bins)]
    parameters.areaRngLbl = ['all', *(f'{low:g} to {high:g}' for low, high in bins)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
    # (10 IoUs, 101 recalls, C, 1 + bins); -1 where a class does not occur
    precision = np.asarray(evaluator.eval['precision']).reshape(10, 101, num_classes, -1)
    recall = np.asarray(evaluator.eval['recall']).reshape(10, num_classes, -1)
    sides, labels = _truth(pictures)
    return BoxScores(
        ap=_mean(precision[..., 0], (0, 1)),
        ap50=_mean(precision[0, ..., 0], 0),
        ap75=_mean(precision[5, ..., 0], 0),
        objects=np.bincount(labels, minlength=num_classes),
        curves=np.where(precision[0, ..., 0] < 0, np.nan, precision[0, ..., 0]).T,
        bins=[
            Bin(
                low,
                high,
                int(((sides >= low) & (sides <= high)).sum()),
                float(_mean(precision[..., 1 + number])),
                float(_mean(precision[0, ..., 1 + number])),
                float(_mean(recall[..., 1 + number])),
            )
            for number, (low, high) in enumerate(bins)
        ],
    )


def _mean(values: np.ndarray, axis: Any = None) -> np.ndarray:
    """Return the mean of those that are not -1, or NaN."""
    there = values > -1
    with np.errstate(invalid='ignore'):
        return np.where(there, values, 0.0).sum(axis) / there.sum(axis)


def _truth(pictures: Sequence[Picture]) -> tuple[np.ndarray, np.ndarray]:
    parts = [(p.truth_areas[~p.truth_crowd], p.truth_labels[~p.truth_crowd]) for p in pictures]
    areas, labels = (
        (np.concatenate(part) for part in zip(*parts, strict=True))
        if parts
        else (
            np.zeros(0),
            np.zeros(0, int),
        )
    )
    return np.sqrt(areas), labels


def coco_eval_class() -> Any:
    """Return ``COCOeval_faster`` if faster-coco-eval is installed, else pycocotools' class."""
    try:
        from faster_coco_eval import COCOeval_faster
    except ImportError:
        from pycocotools.cocoeval import COCOeval

        return COCOeval
    return COCOeval_faster


def _evaluator(pictures: Sequence[Picture], num_classes: int) -> Any:
    """Return a COCOeval that takes areas and IoUs as the pictures have them."""
    from pycocotools.coco import COCO

    base: Any = coco_eval_class()

    class Evaluator(base):
        def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802, N803
            picture = pictures[imgId - 1]
            boxes, truths = picture.labels == catId - 1, picture.truth_labels == catId - 1
            if not boxes.any() and not truths.any():
                return []
            return picture.ious[np.ix_(boxes, truths)]

    images = [{'id': number + 1} for number in range(len(pictures))]
    categories = [{'id': label + 1, 'name': str(label)} for label in range(num_classes)]
    sides: list[list[dict[str, Any]]] = [[], []]
    for number, picture in enumerate(pictures):
        sizes = picture.boxes[:, 2:] - picture.boxes[:, :2]
        found = np.concatenate([picture.boxes[:, :2], sizes], 1)
        for side, boxes, labels, areas, extra in (
            (0, picture.truth_boxes, picture.truth_labels, picture.truth_areas, 'iscrowd'),
            (1, found, picture.labels, picture.areas, 'score'),
        ):
            values = picture.truth_crowd.astype(int) if side == 0 else picture.scores
            sides[side] += [
                {
                    'image_id': number + 1,
                    'category_id': int(label) + 1,
                    'bbox': box,
                    'area': float(area),
                    'iscrowd': 0,
                    extra: value,
                }
                for label, box, area, value in zip(
                    labels, boxes.tolist(), areas, values.tolist(), strict=True
                )
            ]
    apis = []
    with contextlib.redirect_stdout(io.StringIO()):
        for annotations in sides:
            for number, annotation in enumerate(annotations):
                annotation['id'] = number + 1
            api = COCO()
            api.dataset = {'images': images, 'categories': categories, 'annotations': annotations}
            api.createIndex()
            apis.append(api)
        return Evaluator(*apis, 'bbox')


def best_score(pictures: Sequence[Picture]) -> float:
    """Return the score at which the F1 of all boxes together is best, at an IoU of 0.5.

    It is 0.5 if no box finds anything.
    """
    parts = [(picture.match, picture) for picture in pictures]
    scores = np.concatenate([p.scores[~m.in_crowd] for m, p in parts] or [np.zeros(0)])
    hits = np.concatenate([(m.truth_of >= 0)[~m.in_crowd] for m, _ in parts] or [np.zeros(0)])
    there = sum(int((~picture.truth_crowd).sum()) for picture in pictures)
    if not hits.any():
        return 0.5
    order = np.argsort(-scores, kind='stable')
    f1 = 2 * np.cumsum(hits[order]) / (np.arange(1, len(order) + 1) + there)
    # boxes of equal score come together or not at all
    is_last = np.append(scores[order][1:] != scores[order][:-1], True)
    return float(scores[order][np.where(is_last, f1, -1).argmax()])
