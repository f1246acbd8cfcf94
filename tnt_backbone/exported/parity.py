"""Whether an exported file predicts what its checkpoint does, from the picture files on."""

from typing import Any

import numpy as np

from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.pictures import Picture, UnreadablePictureError
from ..predict.results import Classification, Detection, Segmentation
from .model import ExportedModel

LEAST = 50  # pictures that a check needs
# Least share of equal classes of pictures, of pixels of the same class, of matched objects
REQUIRED = {'classification': 1.0, 'segmentation': 0.999, 'detection': 0.995}
SCORE = 1e-3  # largest difference of scores
OVERLAP = 0.99  # least IoU of two boxes, and of their masks, that are the same


def compare(
    trained: TrainedModel, exported: ExportedModel, pictures: list[Picture]
) -> dict[str, Any]:
    """Return how well two models agree.

    Detectors are compared by all objects that their config keeps, whatever the score. An object is
    matched if the other model has one of the same class, with nearly the same box, mask and score.

    Returns:
        ``pictures`` (their number), ``compared`` (pictures, pixels, or objects of the model that
        has more), ``equal`` (share of equal ones), ``required`` (the least share),
        ``largest_difference`` (of a classifier's scores, of the scores of matched objects; ``None``
        for segmentation), ``passed``.

    Raises:
        UnreadablePictureError: If a picture is damaged.
        ValueError: If there is nothing to compare, as no object was found.
    """
    equal = total = 0
    largest: float | None = None
    options: dict[str, Any] = {'score': 0.0} if trained.task == 'detection' else {}
    # Batches of 3: other than the one that was exported, and other than PyTorch's.
    theirs_stream = exported.stream(pictures, batch_size=3, **options)
    for ours, theirs in zip(trained.stream(pictures, **options), theirs_stream, strict=True):
        for result in (ours, theirs):
            if isinstance(result, UnreadablePictureError):
                raise result
        if isinstance(ours, Classification) and isinstance(theirs, Classification):
            equal += _same_classes(ours, theirs)
            total += 1
            differences = np.abs(ours.scores - theirs.scores)
        elif isinstance(ours, Segmentation) and isinstance(theirs, Segmentation):
            equal += int((ours.labels == theirs.labels).sum())
            total += ours.labels.size
            continue
        elif isinstance(ours, Detection) and isinstance(theirs, Detection):
            pairs = match(ours, theirs)
            equal += len(pairs)
            total += max(len(ours.scores), len(theirs.scores))
            differences = np.array([abs(ours.scores[i] - theirs.scores[j]) for i, j in pairs])
        if differences.size:
            difference = float(differences.max())
            # not max(), which drops a NaN
            largest = difference if largest is None or not difference <= largest else largest
    if not total:
        raise InputError(
            f'neither the checkpoint nor the file finds an object on the {len(pictures)} pictures, '
            'so nothing can be compared. Pass pictures with objects: --pictures SOURCE'
        )
    required = REQUIRED[trained.task]
    return {
        'pictures': len(pictures),
        'compared': total,
        'equal': equal / total,
        'required': required,
        'largest_difference': largest,
        'passed': equal / total >= required and (largest is None or largest <= SCORE),
    }


def _same_classes(ours: Classification, theirs: Classification) -> bool:
    if ours.chosen is None or theirs.chosen is None:
        return ours.label == theirs.label
    return set(ours.chosen) == set(theirs.chosen)


def match(ours: Detection, theirs: Detection) -> list[tuple[int, int]]:
    """Return pairs of the same object; each object is in one pair at most."""
    overlaps = _overlaps(ours.boxes, theirs.boxes)
    differences = np.abs(ours.scores[:, None] - theirs.scores[None])
    fits = (
        (overlaps >= OVERLAP)
        & (differences <= SCORE)
        & (ours.labels[:, None] == theirs.labels[None])
    )
    pairs = []
    # the best overlap first, so that an object does not take the partner of another
    candidates = np.argwhere(fits)
    order = np.argsort(-overlaps[fits], kind='stable')
    taken: tuple[set[int], set[int]] = (set(), set())
    for i, j in candidates[order].tolist():
        if i in taken[0] or j in taken[1] or not _same_mask(ours, theirs, i, j):
            continue
        taken[0].add(i)
        taken[1].add(j)
        pairs.append((i, j))
    return pairs


def _same_mask(ours: Detection, theirs: Detection, i: int, j: int) -> bool:
    if ours.masks is None or theirs.masks is None:
        return ours.masks is theirs.masks
    different = (ours.masks[i] != theirs.masks[j]).sum()
    # one pixel of a small mask may be more than the share allows
    return different <= max(1, (1 - OVERLAP) * (ours.masks[i] | theirs.masks[j]).sum())


def _overlaps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the IoU of boxes ``(N, 4)`` and ``(M, 4)``; 1 for two equal boxes without area."""
    corner = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    sides = (np.minimum(ours[:, None, 2:], theirs[None, :, 2:]) - corner).clip(0)
    shared = sides.prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs)]
    union = areas[0][:, None] + areas[1][None] - shared
    same = (ours[:, None] == theirs[None]).all(axis=2)
    return np.where(same, 1.0, shared / np.maximum(union, 1e-9))
