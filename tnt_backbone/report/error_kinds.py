"""Kinds of error of a detector, and how much AP each of them costs.

The six kinds, their order of precedence and the way they are weighed are those of TIDE (Bolya et
al., ECCV 2020, https://arxiv.org/abs/2008.08115; its code, tidecv 1.0.1, is not maintained). One
thing differs: boxes in a crowd region are no errors here, and classes without any object do not
count in the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .boxes import IOU, Picture

RECALLS = np.linspace(0, 1, 101)  # COCO's
BACKGROUND = 0.1  # IoU up to which a box has found nothing
CORRECT, CLASS, BOX, BOTH, DUPLICATE, EMPTY, CROWD = range(7)
NAMES = {
    CLASS: 'wrong class',
    BOX: 'poor box',
    BOTH: 'wrong class and poor box',
    DUPLICATE: 'duplicate',
    EMPTY: 'background',
}
MISSED = 'missed'
MEANING = {
    'wrong class': 'the box fits an object of another class (IoU of at least 0.5)',
    'poor box': 'the class is right, and the IoU is from 0.1 to 0.5',
    'wrong class and poor box': 'an object of another class, and the IoU is from 0.1 to 0.5',
    'duplicate': 'a surer box has already found the object',
    'background': 'the IoU with every object is below 0.1',
    'missed': 'no box finds the object, not even with a wrong class or a poor box',
}


@dataclass
class Judged:
    """What became of the boxes and objects of one picture.

    Attributes:
        kinds: ``(N,)``: one of the constants of this file for each box.
        target: ``(N,)``: the object that the box found, or would have found, or -1.
        found: ``(M,)``: whether a box found the object.
        missed: ``(M,)``: whether it was missed. Neither is true of an object that only a box of a
            wrong class or a poor box has found, nor of a crowd.
    """

    kinds: np.ndarray
    target: np.ndarray
    found: np.ndarray
    missed: np.ndarray


def judge(picture: Picture) -> Judged:
    """Return the kind of each box of a picture, and which objects were missed."""
    matched = picture.match
    kinds, target = np.full(len(picture.boxes), EMPTY), matched.truth_of.copy()
    solid = ~picture.truth_crowd
    found = np.isin(np.arange(len(solid)), matched.truth_of) & solid
    kinds[matched.truth_of >= 0] = CORRECT
    wrong = matched.truth_of < 0
    if solid.any():
        ious = picture.ious
        same = picture.labels[:, None] == picture.truth_labels[None]
        own = np.where(same & solid, ious, -1.0)
        other = np.where(~same & solid, ious, -1.0)
        # later lines take precedence
        best = np.where(solid, ious, -1.0).max(1)
        kinds[wrong & (best > BACKGROUND)] = BOTH
        kinds[wrong & (np.where(found, own, -1.0).max(1) >= IOU)] = DUPLICATE
        for kind, values, is_one in (
            (CLASS, other, other.max(1) >= IOU),
            (BOX, own, (own.max(1) >= BACKGROUND) & (own.max(1) <= IOU)),
        ):
            kinds[wrong & is_one] = kind
            target[wrong & is_one] = values.argmax(1)[wrong & is_one]
    kinds[matched.in_crowd] = CROWD
    mendable = np.isin(kinds, (CLASS, BOX))
    near = np.isin(np.arange(len(solid)), target[mendable])
    return Judged(kinds, target, found, solid & ~found & ~near)


@dataclass
class Errors:
    """The errors of a whole test.

    Attributes:
        ap50: Mean AP at an IoU of 0.5 over the classes that occur, from 0 to 1.
        counts: Kind to the number of boxes, or of objects for ``'missed'``.
        costs: Kind to what ``ap50`` would gain without this kind of error.
    """

    ap50: float
    counts: dict[str, int]
    costs: dict[str, float]


def weigh(pictures: Sequence[Picture], num_classes: int) -> Errors:
    """Return how many errors of each kind there are, and what each kind costs."""
    judged = [judge(picture) for picture in pictures]
    scores = _join([picture.scores for picture in pictures], float)
    labels = _join([picture.labels for picture in pictures], int)
    kinds = _join([one.kinds for one in judged], int)
    starts = np.cumsum([0, *(len(picture.truth_labels) for picture in pictures)])
    target = _join(
        [
            np.where(one.target >= 0, one.target + start, -1)
            for one, start in zip(judged, starts, strict=False)
        ],
        int,
    )
    truth_labels = _join([picture.truth_labels for picture in pictures], int)
    found = _join([one.found for one in judged], bool)
    missed = _join([one.missed for one in judged], bool)
    solid = ~_join([picture.truth_crowd for picture in pictures], bool)
    there = np.bincount(truth_labels[solid], minlength=num_classes)

    # Of all boxes of wrong class or place that would find an object, the surest is put right.
    surest = np.zeros(len(scores), bool)
    mendable = np.flatnonzero(np.isin(kinds, (CLASS, BOX)))
    mendable = mendable[~found[target[mendable]]] if len(mendable) else mendable
    order = mendable[np.argsort(-scores[mendable], kind='stable')]
    surest[order[np.unique(target[order], return_index=True)[1]]] = True

    is_right, counted = kinds == CORRECT, kinds != CROWD
    ap50 = _mean_ap(scores, labels, is_right, counted, there)
    costs = {}
    for kind, name in NAMES.items():
        mended = (kinds == kind) & surest
        kept = counted & ((kinds != kind) | mended)
        right_labels = labels.copy()
        right_labels[mended] = truth_labels[target[mended]]
        costs[name] = _mean_ap(scores, right_labels, is_right | mended, kept, there) - ap50
    fewer = there - np.bincount(truth_labels[missed], minlength=num_classes)
    costs[MISSED] = _mean_ap(scores, labels, is_right, counted, fewer, of=there) - ap50
    counts = {name: int((kinds == kind).sum()) for kind, name in NAMES.items()}
    return Errors(
        ap50, counts | {MISSED: int(missed.sum())}, {k: max(v, 0.0) for k, v in costs.items()}
    )


def _join(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)


def _mean_ap(
    scores: np.ndarray,
    labels: np.ndarray,
    is_right: np.ndarray,
    counted: np.ndarray,
    there: np.ndarray,
    of: np.ndarray | None = None,
) -> float:
    """Return the mean AP over the classes that occur; NaN if none does."""
    aps = []
    for label in np.flatnonzero(there if of is None else of):
        own = np.flatnonzero(counted & (labels == label))
        if not there[label]:  # all of its objects were taken away as missed
            aps += [0.0] if len(own) else []
            continue
        own = own[np.argsort(-scores[own], kind='stable')]
        aps.append(average_precision(is_right[own], int(there[label])))
    return float(np.mean(aps)) if aps else float('nan')


def average_precision(is_right: np.ndarray, there: int) -> float:
    """Return COCO's AP: the mean precision at 101 values of recall.

    Args:
        is_right: Of each box, the surest first.
        there: Number of objects.
    """
    hits = np.cumsum(is_right)
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / there, RECALLS, side='left')
    return float(np.append(precision, 0.0)[places].mean())
