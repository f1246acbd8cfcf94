"""Scenes: digits on a textured background, with what every pixel shows."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .digits import Digit, render
from .textures import background

MAX_TURN = 5.0  # degrees
STRETCH = (0.9, 1.1)
MAX_HIDDEN = 0.05  # of a digit's pixels, by the digits that lie on it
MIN_CONTRAST = 90.0  # of 255: how much brighter a digit is than what lies behind it
PLACEMENTS = 20  # tries; a digit that finds no place is left out
MIN_HEIGHT = 8.0  # pixels: the digits' own resolution
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of R, G, B (ITU-R BT.601)


@dataclass
class Instance:
    """A digit in a scene and the pixels ``(H, W)`` where it is seen."""

    digit: Digit
    mask: NDArray[np.bool_]


@dataclass
class Scene:
    """A picture ``(H, W, 3)``, RGB, and its digits, those behind first."""

    image: NDArray[np.uint8]
    instances: list[Instance]


def compose(
    rng: Generator,
    digits: list[Digit],
    *,
    size: tuple[int, int],
    heights: tuple[float, float],
) -> Scene:
    """Lay digits on a new background.

    Args:
        rng: Where all choices come from.
        digits: What to show. One that would not fit, or hide too much of those before it, is left
            out.
        size: ``(H, W)`` of the scene, in pixels.
        heights: Least and greatest height of a digit, as a share of the shorter side; their
            logarithms are spread evenly.
    """
    image = background(rng, *size)
    instances: list[Instance] = []
    for digit in digits:
        height = min(size) * np.exp(rng.uniform(*np.log(heights)))
        opacity = render(
            digit,
            height=max(height, MIN_HEIGHT),
            angle=rng.uniform(-MAX_TURN, MAX_TURN),
            stretch=rng.uniform(*STRETCH),
        )
        corner = _find_place(rng, opacity, instances, size)
        if corner is None:
            continue
        row, column = corner
        window = np.s_[row : row + opacity.shape[0], column : column + opacity.shape[1]]
        image[window] += opacity[..., None] * (
            contrasting_colour(rng, image[window], opacity) - image[window]
        )
        mask = np.zeros(size, np.bool_)
        mask[window] = opacity >= 0.5
        for other in instances:
            other.mask &= ~mask
        instances.append(Instance(digit, mask))
    image += rng.uniform(0, 6) * rng.standard_normal(image.shape, np.float32)  # a camera's noise
    return Scene(np.clip(image.round(), 0, 255).astype(np.uint8), instances)


def _find_place(
    rng: Generator, opacity: NDArray[np.float32], instances: list[Instance], size: tuple[int, int]
) -> tuple[int, int] | None:
    """Upper left corner where a digit lies inside the scene and hides little of the others."""
    high, wide = opacity.shape
    if high > size[0] or wide > size[1]:
        return None
    solid = opacity >= 0.5
    for _ in range(PLACEMENTS):
        row, column = (int(rng.integers(0, room + 1)) for room in (size[0] - high, size[1] - wide))
        hidden = (
            (instance.mask[row : row + high, column : column + wide] & solid).sum()
            / instance.mask.sum()
            for instance in instances
        )
        if all(share <= MAX_HIDDEN for share in hidden):
            return row, column
    return None


def contrasting_colour(
    rng: Generator, behind: NDArray[np.float32], opacity: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A colour ``(3,)`` that stands out from what lies behind the digit, ``(h, w, 3)``."""
    mean = float((behind @ LUMA)[opacity >= 0.5].mean())
    brightness = np.float32(rng.uniform(min(mean + MIN_CONTRAST, 255.0), 255.0))
    hue = rng.uniform(-50, 50, 3).astype(np.float32)
    hue -= hue @ LUMA  # changes the colour but not the brightness
    reach = np.where(hue > 0, 255.0 - brightness, brightness) / np.maximum(np.abs(hue), 1e-3)
    return brightness + np.float32(min(reach.min(), 1.0)) * hue
