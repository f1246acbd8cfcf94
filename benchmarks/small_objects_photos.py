"""Scenes of 256 x 256 pixels made of shrunk photographs, for ``small_objects.py``.

A scene is a grid of 4 x 4 photographs, each shrunk with a good filter until its largest object is 8
to 32 pixels long. The rest of a cell keeps the mean colour of its photograph. Scenes of the val
split show photographs that those of the train split never show.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from small_objects_files import SIDE, Box, Scene, write_data

# name of the class: (annotations, folder of the pictures) of a split, below the folder of the data
SOURCES = dict(
    kangaroo=('kangaroo/{split}.json', 'kangaroo/images'),
    pedestrian=('pennfudan/{split}.json', 'pennfudan/images/{split}'),
)
CELLS = 4  # a side
CELL = SIDE // CELLS  # pixels
OBJECTS = (8.0, 32.0)  # longer side of a photograph's largest object, in pixels
RECIPE = 1  # raised with each change of what is drawn


@dataclass(frozen=True)
class Photograph:
    """A file, its category id, and the boxes of its objects in pixels."""

    path: Path
    category: int
    boxes: tuple[Box, ...]


def load_photographs(data: Path, split: str) -> list[Photograph]:
    """Return the photographs of a split that have objects and can be read."""
    found = []
    for category, (annotations, folder) in enumerate(SOURCES.values(), 1):
        content = json.loads((data / annotations.format(split=split)).read_text())
        boxes: dict[int, list[Box]] = {}
        for entry in content['annotations']:
            boxes.setdefault(entry['image_id'], []).append(tuple(entry['bbox']))
        for image in content['images']:
            path = data / folder.format(split=split) / image['file_name']
            if image['id'] in boxes and cv2.imread(str(path)) is not None:
                found.append(Photograph(path, category, tuple(boxes[image['id']])))
    return found


def compose(rng: Generator, photographs: list[Photograph]) -> Scene:
    """Lay ``CELLS**2`` photographs into a grid."""
    scene = Scene(np.zeros((SIDE, SIDE, 3), np.uint8), [], [])
    for cell, photograph in enumerate(photographs):
        picture = cv2.imread(str(photograph.path))[..., ::-1]
        largest = max(max(box[2:]) for box in photograph.boxes)
        wanted = np.exp(rng.uniform(*np.log(OBJECTS)))
        scale = min(wanted / largest, CELL / max(picture.shape[:2]))
        height, width = (max(round(side * scale), 1) for side in picture.shape[:2])
        shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        row, column = cell // CELLS * CELL, cell % CELLS * CELL
        top = row + int(rng.integers(CELL - height + 1))
        left = column + int(rng.integers(CELL - width + 1))
        scene.image[row : row + CELL, column : column + CELL] = shrunk.mean((0, 1)).round()
        scene.image[top : top + height, left : left + width] = shrunk
        down, across = height / picture.shape[0], width / picture.shape[1]
        for x, y, wide, high in photograph.boxes:
            scene.boxes.append((left + x * across, top + y * down, wide * across, high * down))
            scene.categories.append(photograph.category)
    return scene


def make_photos(out: Path, data: Path, scenes: Mapping[str, int]) -> None:
    """Write the data set, unless it is there already; ``scenes`` counts those of each split."""

    def compose_all(split: str) -> Iterator[Scene]:
        photographs = load_photographs(data, split)
        for number in range(scenes[split]):
            rng = np.random.default_rng([list(scenes).index(split), number])
            chosen = rng.choice(len(photographs), CELLS**2, replace=False)
            yield compose(rng, [photographs[i] for i in chosen])

    write_data(
        out,
        dict(recipe=RECIPE, **scenes),
        {split: compose_all(split) for split in scenes},
        [dict(id=number, name=name) for number, name in enumerate(SOURCES, 1)],
    )
