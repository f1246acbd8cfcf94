"""Whether an exported file predicts what its checkpoint does, from the picture files on."""

from typing import Any

import numpy as np

from ..predict.model import TrainedModel
from ..predict.pictures import Picture, UnreadablePictureError
from ..predict.results import Classification, Segmentation
from .model import ExportedModel

LEAST = 50  # pictures that a check needs
PIXELS = 0.999  # share of the pixels that must have the same label


def compare(
    trained: TrainedModel, exported: ExportedModel, pictures: list[Picture]
) -> dict[str, Any]:
    """Return how well two models agree.

    Returns:
        ``pictures`` (their number), ``equal`` (share of equal top-1 classes or of equal pixels),
        ``required`` (the least share), ``largest_difference`` (of scores; ``None`` for
        segmentation), ``passed``.

    Raises:
        UnreadablePictureError: If a picture is damaged.
    """
    equal = total = 0
    largest: float | None = None
    # Batches of 3: other than the one that was exported, and other than PyTorch's.
    pairs = zip(trained.stream(pictures), exported.stream(pictures, batch_size=3), strict=True)
    for ours, theirs in pairs:
        for result in (ours, theirs):
            if isinstance(result, UnreadablePictureError):
                raise result
        if isinstance(ours, Classification) and isinstance(theirs, Classification):
            equal += ours.label == theirs.label
            total += 1
            difference = float(np.abs(ours.scores - theirs.scores).max())
            # not max(), which drops a NaN
            largest = difference if largest is None or not difference <= largest else largest
        elif isinstance(ours, Segmentation) and isinstance(theirs, Segmentation):
            equal += int((ours.labels == theirs.labels).sum())
            total += ours.labels.size
    required = PIXELS if trained.task == 'segmentation' else 1.0
    return {
        'pictures': len(pictures),
        'equal': equal / total,
        'required': required,
        'largest_difference': largest,
        'passed': equal / total >= required and (largest is None or largest <= 1e-3),
    }
