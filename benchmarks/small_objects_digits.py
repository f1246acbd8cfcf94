"""Scenes of 256 x 256 pixels with digits of 4 to 48 pixels, for ``small_objects.py``.

The digits, their split and the backgrounds are the demo's. A digit is drawn 8 times as large as it
will be seen, at an offset of an eighth of a pixel, and each pixel gets the mean of the 8 x 8 fine
ones that it covers. Boxes are the fine drawing's extent, so they are exact to an eighth of a pixel.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from small_objects_files import SIDE, Box, Scene, write_data

from tnt_backbone.demo.coco import CATEGORIES, category_id, semantic_mask
from tnt_backbone.demo.digits import SPLITS, Digit, Split, load_split, render
from tnt_backbone.demo.scenes import MAX_TURN, STRETCH, Instance, contrasting_colour
from tnt_backbone.demo.textures import background

SIZES = dict(small=(4, 12), medium=(12, 24), large=(24, 48))  # least and greatest height, in pixels
DIGITS_A_SIZE = 4
GAP = 2  # pixels at least between two boxes
PLACEMENTS = 50  # tries; a digit that finds no place is left out
FINE = 8  # fine pixels a pixel
RECIPE = 1  # raised with each change of what is drawn


def draw(rng: Generator, digit: Digit, height: float) -> tuple[NDArray[np.float32], Box]:
    """Draw a digit at its size.

    Args:
        rng: Where turn, stretch and offset come from.
        digit: What to draw.
        height: In pixels, before it is turned.

    Returns:
        Opacity ``(h, w)`` from 0 to 1, and the digit's box in it.
    """
    fine = render(
        digit,
        height=height * FINE,
        angle=rng.uniform(-MAX_TURN, MAX_TURN),
        stretch=rng.uniform(*STRETCH),
    )
    high, wide = fine.shape
    down, right = (int(offset) for offset in rng.integers(FINE, size=2))
    padded = np.pad(fine, ((down, -(down + high) % FINE), (right, -(right + wide) % FINE)))
    cells = padded.reshape(padded.shape[0] // FINE, FINE, padded.shape[1] // FINE, FINE)
    return cells.mean(axis=(1, 3)), (right / FINE, down / FINE, wide / FINE, high / FINE)


def compose(rng: Generator, digits: list[tuple[Digit, float]]) -> Scene:
    """Lay digits of the given heights in pixels on a new background, the largest first."""
    image = background(rng, SIDE, SIDE)
    instances: list[Instance] = []
    boxes: list[Box] = []
    for digit, height in sorted(digits, key=lambda pair: -pair[1]):
        opacity, (left, top, width, high) = draw(rng, digit, height)
        rows, columns = opacity.shape
        for _ in range(PLACEMENTS):
            row, column = rng.integers(SIDE - rows + 1), rng.integers(SIDE - columns + 1)
            box = (float(column + left), float(row + top), width, high)
            if all(_apart(box, other) for other in boxes):
                break
        else:
            continue
        window = np.s_[row : row + rows, column : column + columns]
        # half of the most opaque pixel: the strokes of a small digit are thinner than a pixel
        solid = opacity >= opacity.max() / 2
        colour = contrasting_colour(rng, image[window], solid.astype(np.float32))
        image[window] += opacity[..., None] * (colour - image[window])
        mask = np.zeros((SIDE, SIDE), np.bool_)
        mask[window] = solid
        instances.append(Instance(digit, mask))
        boxes.append(box)
    image += rng.uniform(0, 6) * rng.standard_normal(image.shape, np.float32)  # a camera's noise
    return Scene(
        np.clip(image.round(), 0, 255).astype(np.uint8),
        boxes,
        [category_id(instance.digit.label) for instance in instances],
        semantic_mask(instances, (SIDE, SIDE)),
    )


def _apart(box: Box, other: Box) -> bool:
    return any(
        max(box[axis] - other[axis] - other[axis + 2], other[axis] - box[axis] - box[axis + 2])
        >= GAP
        for axis in (0, 1)
    )


def make_scene(split: Split, number: int) -> Scene:
    """Compose scene ``number`` of a split, which does not depend on how many others are made."""
    rng = np.random.default_rng([SPLITS.index(split), number])
    digits = load_split(split)
    return compose(
        rng,
        [
            (digits[rng.integers(len(digits))], float(np.exp(rng.uniform(*np.log(heights)))))
            for heights in SIZES.values()
            for _ in range(DIGITS_A_SIZE)
        ],
    )


def make_digits(out: Path, *, train: int, val: int) -> None:
    """Write the data set, unless it is there already; ``train`` and ``val`` count scenes."""

    def scenes(split: Split, count: int) -> Iterator[Scene]:
        return (make_scene(split, number) for number in range(count))

    write_data(
        out,
        dict(recipe=RECIPE, train=train, val=val),
        dict(train=scenes('train', train), val=scenes('val', val)),
        CATEGORIES,
    )
