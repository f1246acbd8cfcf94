"""The files of a data set of ``small_objects.py``.

::

    OUT/annotations/instances_{train,val}.json    COCO boxes
    OUT/{train,val}/000000.jpg                    scenes
    OUT/semantic/{train,val}/000000.png           class of every pixel, 0 is background
    OUT/small_objects.json                        the arguments it was made with; written last
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256  # of a scene, in pixels
JPEG_QUALITY = 95
STAMP = 'small_objects.json'

Box = tuple[float, float, float, float]  # left, top, width, height in pixels


@dataclass
class Scene:
    """A picture ``(SIDE, SIDE, 3)``, RGB, the boxes and category ids in it, and a label map."""

    image: NDArray[np.uint8]
    boxes: list[Box]
    categories: list[int]
    labels: NDArray[np.uint8] | None = None


def write_data(
    out: Path,
    arguments: Mapping[str, Any],
    splits: Mapping[str, Iterable[Scene]],
    categories: list[dict[str, Any]],
) -> None:
    """Write a data set, unless it is there already with the same arguments."""
    stamp = json.dumps(arguments)
    if (out / STAMP).is_file() and (out / STAMP).read_text() == stamp:
        return
    (out / STAMP).unlink(missing_ok=True)
    for name in ('annotations', 'semantic', *splits):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / 'annotations').mkdir(parents=True)
    for split, scenes in splits.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, scene in enumerate(scenes):
            name = f'{split}/{number:06d}'
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            _write(out / f'{name}.jpg', scene.image[..., ::-1], quality)
            if scene.labels is not None:
                _write(out / f'semantic/{name}.png', scene.labels)
            images.append(dict(id=number, file_name=f'{number:06d}.jpg', height=SIDE, width=SIDE))
            for box, category in zip(scene.boxes, scene.categories, strict=True):
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=number,
                        category_id=category,
                        bbox=box,
                        area=box[2] * box[3],
                        iscrowd=0,
                    )
                )
        document = dict(categories=categories, images=images, annotations=annotations)
        (out / f'annotations/instances_{split}.json').write_text(json.dumps(document))
    (out / STAMP).write_text(stamp)


def _write(path: Path, picture: NDArray[np.uint8], options: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(path.suffix, picture, options or [])[1]
    path.write_bytes(encoded.tobytes())  # raises when the disk is full, which imwrite does not
