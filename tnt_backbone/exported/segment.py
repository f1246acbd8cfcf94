"""Label maps from a segmentor's logits: MMSegmentation's windows and resizing in NumPy."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from .inputs import Input, stack
from .session import Session


def segment(network: Session, about: dict[str, Any], inputs: list[Input]) -> Iterator[np.ndarray]:
    """Yield the label map ``(H, W)`` of each picture, in pixels of the picture itself.

    Args:
        network: Pictures or windows ``(N, 3, h, w)`` to logits ``(N, C, h, w)``.
        about: The file's metadata.
        inputs: Of equal size.
    """
    images = stack(inputs, about)
    if about.get('slide'):
        outputs = slide(network, images, **about['slide'])
    else:
        (outputs,) = network.run([images])
    for logits, one in zip(outputs, inputs, strict=True):
        yield resize(logits[:, : one.shape[0], : one.shape[1]], one.own_shape).argmax(0)


def slide(
    network: Session, images: np.ndarray, crop_size: list[int], stride: list[int]
) -> np.ndarray:
    """Return the logits of pictures ``(N, 3, H, W)``, the mean of overlapping windows.

    Args:
        network: Windows to logits.
        images: The pictures.
        crop_size: Height and width of a window.
        stride: Steps downwards and to the right.
    """
    total: np.ndarray | None = None
    count = np.zeros(images.shape[2:], np.float32)
    for top, bottom in spans(images.shape[2], crop_size[0], stride[0]):
        for left, right in spans(images.shape[3], crop_size[1], stride[1]):
            window = np.ascontiguousarray(images[:, :, top:bottom, left:right])
            (logits,) = network.run([window])
            if total is None:
                total = np.zeros((*logits.shape[:2], *images.shape[2:]), np.float32)
            total[:, :, top:bottom, left:right] += logits
            count[top:bottom, left:right] += 1
    return total / count


def spans(length: int, window: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield first and last edge of the windows along a side; the last ends with the side."""
    for number in range(max(length - window + stride - 1, 0) // stride + 1):
        end = min(number * stride + window, length)
        yield max(end - window, 0), end


def resize(logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return ``(C, *shape)`` from ``(C, h, w)``, as torch's bilinear ``interpolate`` does it.

    Neither that, with ``align_corners=False``, nor OpenCV's smooths before it shrinks.
    """
    if logits.shape[1:] == shape:
        return logits
    return np.stack([cv2.resize(channel, shape[::-1]) for channel in logits])
