"""Scenes of 256 x 256 pixels with digits of 4 to 48 pixels: the data of ``small_objects.py``.

::

    OUT/annotations/instances_{train,val}.json    COCO boxes
    OUT/{train,val}/000000.jpg                    scenes
    OUT/semantic/{train,val}/000000.png           class of every pixel: 0 background, 1 to 10 digits
    OUT/small_objects.json                        the arguments it was made with; written last

The digits, their split and the backgrounds are the demo's. A digit is drawn 8 times as large as it
will be seen, at an offset of an eighth of a pixel, and each pixel gets the mean of the 8 x 8 fine
ones that it covers. Boxes are the fine drawing's extent, so they are exact to an eighth of a pixel.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tnt_backbone.demo.coco import CATEGORIES, category_id, semantic_mask
from tnt_backbone.demo.digits import SPLITS, Digit, Split, load_split, render
from tnt_backbone.demo.scenes import MAX_TURN, STRETCH, Instance, contrasting_colour
from tnt_backbone.demo.textures import background

SIDE = 256  # of a scene, in pixels
SIZES = dict(small=(4, 12), medium=(12, 24), large=(24, 48))  # least and greatest height, in pixels
DIGITS_A_SIZE = 4
GAP = 2  # pixels at least between two boxes
PLACEMENTS = 50  # tries; a digit that finds no place is left out
FINE = 8  # fine pixels a pixel
JPEG_QUALITY = 95
RECIPE = 1  # raised with each change of what is drawn
STAMP = 'small_objects.json'

Box = tuple[float, float, float, float]  # left, top, width, height in pixels


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


def compose(rng: Generator, digits: list[tuple[Digit, float]]) -> tuple[Any, list[Instance], list]:
    """Lay digits of the given heights on a new background, the largest first.

    Returns:
        The picture ``(SIDE, SIDE, 3)``, RGB; the digits that found a place; and their boxes.
    """
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
    return np.clip(image.round(), 0, 255).astype(np.uint8), instances, boxes


def _apart(box: Box, other: Box) -> bool:
    return any(
        max(box[axis] - other[axis] - other[axis + 2], other[axis] - box[axis] - box[axis + 2])
        >= GAP
        for axis in (0, 1)
    )


def make_scene(split: Split, number: int) -> tuple[Any, list[Instance], list[Box]]:
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


def make_data(out: Path, *, train: int, val: int) -> None:
    """Write the data set, unless it is there already; ``train`` and ``val`` count scenes."""
    stamp = json.dumps(dict(recipe=RECIPE, train=train, val=val))
    if (out / STAMP).is_file() and (out / STAMP).read_text() == stamp:
        return
    for name in ('annotations', 'semantic', *SPLITS):
        shutil.rmtree(out / name, ignore_errors=True)
    for split, count in zip(SPLITS, (train, val), strict=True):
        for folder in (out / split, out / 'semantic' / split, out / 'annotations'):
            folder.mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for number in range(count):
            picture, instances, boxes = make_scene(split, number)
            name = f'{number:06d}'
            _, jpeg = cv2.imencode(
                '.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            )
            (out / split / f'{name}.jpg').write_bytes(jpeg.tobytes())
            _, png = cv2.imencode('.png', semantic_mask(instances, (SIDE, SIDE)))
            (out / 'semantic' / split / f'{name}.png').write_bytes(png.tobytes())
            images.append(dict(id=number, file_name=f'{name}.jpg', height=SIDE, width=SIDE))
            annotations += [
                dict(
                    image_id=number,
                    category_id=category_id(instance.digit.label),
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                )
                for instance, box in zip(instances, boxes, strict=True)
            ]
        for i, annotation in enumerate(annotations, 1):
            annotation['id'] = i
        document = dict(categories=CATEGORIES, images=images, annotations=annotations)
        (out / 'annotations' / f'instances_{split}.json').write_text(json.dumps(document))
    (out / STAMP).write_text(stamp)
