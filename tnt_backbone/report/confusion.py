"""Confusion matrices, and the shares that follow from them."""

from collections.abc import Sequence

import numpy as np

from .boxes import IOU, Picture


def scores_of(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a confusion matrix says of each class.

    Args:
        matrix: ``(C + 1, C + 1)``: rows are true, columns predicted; the last ones are no class.

    Returns:
        ``iou``, ``recall``, ``precision``, ``f1``, each ``(C,)``, from 0 to 1. They are NaN where
        there is nothing to divide by: a class that occurs nowhere has no IoU.
    """
    hit = np.diag(matrix)[:-1].astype(float)
    true, predicted = matrix.sum(1)[:-1], matrix.sum(0)[:-1]
    with np.errstate(invalid='ignore', divide='ignore'):
        return {
            'iou': hit / (true + predicted - hit),
            'recall': hit / true,
            'precision': hit / predicted,
            'f1': 2 * hit / (true + predicted),
        }


def of_boxes(pictures: Sequence[Picture], num_classes: int, score: float) -> np.ndarray:
    """Return how often boxes of each class were given which class.

    First the boxes are matched to the truth of their own class, as COCO does. So the diagonal is
    what precision and recall count. Then the boxes and objects that are left are paired with each
    other whatever their class, the greatest IoU first, if it is at least 0.5.

    Args:
        pictures: Boxes and truth.
        num_classes: ``C``.
        score: The least score of a box that counts.

    Returns:
        ``(C + 1, C + 1)``: rows are true, columns predicted. The last row holds boxes on
        background, the last column objects that were missed.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    for picture in pictures:
        matched = picture.match
        ious = picture.ious
        certain = picture.scores >= score
        hit = (matched.truth_of >= 0) & certain
        np.add.at(matrix, (picture.labels[hit], picture.labels[hit]), 1)
        boxes = np.flatnonzero(certain & ~hit & ~matched.in_crowd)
        found = np.isin(np.arange(len(picture.truth_labels)), matched.truth_of[hit])
        truths = np.flatnonzero(~found & ~picture.truth_crowd)
        left = np.where(ious[np.ix_(boxes, truths)] >= IOU, ious[np.ix_(boxes, truths)], -1.0)
        while left.size and left.max() >= 0:
            i, j = np.unravel_index(left.argmax(), left.shape)
            matrix[picture.truth_labels[truths[j]], picture.labels[boxes[i]]] += 1
            boxes, truths = np.delete(boxes, i), np.delete(truths, j)
            left = np.delete(np.delete(left, i, 0), j, 1)
        np.add.at(matrix[num_classes], picture.labels[boxes], 1)
        np.add.at(matrix[:, num_classes], picture.truth_labels[truths], 1)
    return matrix


def of_counts(pictures: Sequence[dict], num_classes: int) -> np.ndarray:
    """Return the sum of the sparse matrices of a segmentor's pictures, ``(C + 1, C + 1)``."""
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    for picture in pictures:
        for true, predicted, pixels in picture['counts']:
            matrix[true, predicted] += pixels
    return matrix


def of_labels(pictures: Sequence[dict], num_classes: int) -> np.ndarray:
    """Return how often pictures of each class were given which class, ``(C + 1, C + 1)``."""
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    for picture in pictures:
        matrix[picture['label'], picture['predicted']] += 1
    return matrix
