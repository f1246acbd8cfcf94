"""Handwritten digits and their two splits.

The digits are scikit-learn's ``load_digits``: 1797 samples of 8x8 pixels, written by people
(Optical Recognition of Handwritten Digits, https://archive.ics.uci.edu/dataset/80). They ship with
the library, so nothing is downloaded.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingPackageError

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError as error:
    raise MissingPackageError(
        'The demo draws its digits from scikit-learn: pip install "tnt-backbone[demo]"'
    ) from error

Split = Literal['train', 'val']
SPLITS: tuple[Split, ...] = ('train', 'val')
CLASSES = tuple(str(digit) for digit in range(10))

HELD_OUT_EVERY = 10  # of each class, every tenth sample is kept for val
FULL_INK = 16.0  # load_digits counts 4x4 binary pixels in each cell
UPSCALE = 16


@dataclass(frozen=True)
class Digit:
    """One sample: its place in ``load_digits``, its class (0 to 9) and its ink, 8x8, 0 to 1."""

    index: int
    label: int
    ink: NDArray[np.float32]


@cache
def load_split(split: Split) -> tuple[Digit, ...]:
    """Return all digits of a split, in the order of ``load_digits``.

    The split does not depend on a seed: whatever data sets are made, no train scene ever shows a
    digit of a val scene.
    """
    if split not in SPLITS:
        raise InputError(f'split={split!r} is not known: choose one of {SPLITS}')
    data = load_digits()
    digits = []
    for label in range(len(CLASSES)):
        for rank, index in enumerate(np.flatnonzero(data.target == label)):
            held_out = rank % HELD_OUT_EVERY == 0
            if held_out == (split == 'val'):
                digits.append(
                    Digit(int(index), label, (data.images[index] / FULL_INK).astype(np.float32))
                )
    return tuple(sorted(digits, key=lambda digit: digit.index))


@cache
def load_class(split: Split, label: int) -> tuple[Digit, ...]:
    """Return the digits of a split that belong to one class, in the order of ``load_digits``."""
    return tuple(digit for digit in load_split(split) if digit.label == label)


def render(
    digit: Digit, *, height: float, angle: float = 0.0, stretch: float = 1.0
) -> NDArray[np.float32]:
    """Draw a digit large and smooth.

    Args:
        digit: The sample.
        height: Height of the drawn digit before it is turned, in pixels.
        angle: Turn, in degrees, counter-clockwise.
        stretch: Width relative to the written one.

    Returns:
        Opacity ``(h, w)`` from 0 to 1, cropped so that each border row and column has a pixel of
        0.5 or more.
    """
    opacity = _enlarge(digit.ink.tobytes(), digit.ink.shape)
    scale = height / opacity.shape[0]
    high, wide = opacity.shape
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[cos * stretch, sin], [-sin * stretch, cos]])
    side = int(np.ceil(np.hypot(high, wide * stretch))) + 2
    shift = np.full(2, side / 2) - turn @ np.array([wide / 2, high / 2])
    turned = cv2.warpAffine(opacity, np.column_stack([turn, shift]), (side, side))
    drawn_side = max(round(side * scale), 1)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    drawn = cv2.resize(turned, (drawn_side, drawn_side), interpolation=way)
    return _crop(np.clip(drawn, 0.0, 1.0))  # the resize overshoots by rounding


@cache
def _enlarge(ink: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the opacity of a digit at ``UPSCALE`` times its size; a data set draws it often."""
    padded = np.pad(np.frombuffer(ink, np.float32).reshape(shape), 1)
    large = cv2.resize(padded, None, fx=UPSCALE, fy=UPSCALE, interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), UPSCALE / 4)
    # crisp strokes; opacity 0.5 at 0.45 of full ink
    return _crop(np.clip((large - 0.35) / 0.2, 0.0, 1.0)).copy()  # without the margins in memory


def _crop(opacity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut to the extent of the pixels that are at least half opaque."""
    solid = opacity >= 0.5
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
