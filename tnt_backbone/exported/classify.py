"""Which classes a head for several labels finds in a picture, in NumPy."""

from typing import Any

import numpy as np


def choose(scores: np.ndarray, rule: dict[str, Any]) -> np.ndarray:
    """Return the classes that are found, the most certain first, as MMPretrain's heads do.

    Args:
        scores: ``(C,)``: one per class, 0 to 1.
        rule: ``thr``, the least score; where it is null, ``topk``, the number of classes.

    Returns:
        ``(N,)``: indices of classes, int64.
    """
    order = np.argsort(-scores, kind='stable')
    if rule['thr'] is None:
        return order[: rule['topk']]
    return order[scores[order] >= rule['thr']]
