"""Masks of objects put into the picture in NumPy, as MMDetection's ``FCNMaskHead`` does it."""

import numpy as np


def paste(
    masks: np.ndarray, boxes: np.ndarray, shape: tuple[int, int], threshold: float
) -> np.ndarray:
    """Return the masks in the picture ``(N, H, W)``, bool.

    Each mask is read between its points, bilinearly, and is zero outside (torch's ``grid_sample``).

    Args:
        masks: ``(N, h, w)``, 0 to 1.
        boxes: ``(N, 4)`` in pixels of the picture: where each mask lies.
        shape: Height and width of the picture.
        threshold: A pixel from this value on belongs to the object.
    """
    height, width = shape
    pasted = np.zeros((len(masks), height, width), bool)
    for target, mask, box in zip(pasted, masks, boxes, strict=True):
        left, top = np.maximum(np.floor(box[:2]) - 1, 0).astype(int)
        right = int(min(np.ceil(box[2]) + 1, width))
        bottom = int(min(np.ceil(box[3]) + 1, height))
        if right <= left or bottom <= top:
            continue
        x, y = (
            _positions(start, stop, low, high, count)
            for start, stop, low, high, count in (
                (left, right, box[0], box[2], mask.shape[1]),
                (top, bottom, box[1], box[3], mask.shape[0]),
            )
        )
        target[top:bottom, left:right] = _sample(mask, y, x) >= np.float32(threshold)
    return pasted


def _positions(start: int, stop: int, low: np.float32, high: np.float32, count: int) -> np.ndarray:
    """Return where the middles of pixels ``start`` to ``stop`` lie in a mask of ``count`` points.

    The object's box reaches from ``low`` to ``high``.
    """
    middles = np.arange(start, stop).astype(np.float32) + np.float32(0.5)
    with np.errstate(divide='ignore', invalid='ignore'):
        place = (middles - low) / (high - low) * np.float32(2) - np.float32(1)
    place[np.isinf(place)] = 0
    return ((place + np.float32(1)) * np.float32(count) - np.float32(1)) / np.float32(2)


def _sample(mask: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mask at all crossings of ``y`` and ``x``: ``(len(y), len(x))``."""
    padded = np.pad(mask, 1)  # the zeros around it
    rows, down = _split(y, mask.shape[0])
    columns, right = _split(x, mask.shape[1])
    down, right = down[:, None], right[None]
    one = np.float32(1)
    corners = [padded[np.ix_(rows + i, columns + j)] for i in (0, 1) for j in (0, 1)]
    return (
        corners[0] * ((one - right) * (one - down))
        + corners[1] * (right * (one - down))
        + corners[2] * ((one - right) * down)
        + corners[3] * (right * down)
    )


def _split(places: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the index before each place, in the padded mask, and the way to the next one."""
    places = np.nan_to_num(places, nan=-1.0).clip(-1, count)
    before = np.floor(places).clip(-1, count - 1)
    return before.astype(int) + 1, places - before
