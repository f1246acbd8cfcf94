"""The pictures that ``overfit.py`` learns by heart: at most 4 of a data set, 256 pixels long.

Boxes, outlines and label maps are resized with the pictures, so that what is measured is whether a
recipe learns, and not what is lost when a prediction is enlarged.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

PICTURES = 4
SIDE = 256  # longer side, in pixels
# COCO's pictures are the first whose objects can all be seen at that size
MOST_OBJECTS = 8
LEAST_LONG, LEAST_SHORT = 24, 12  # sides of a box, in pixels


def make_coco(source: Path, out: Path) -> None:
    """Take pictures of COCO's training split."""
    content = json.loads((source / 'annotations/instances_train2017.json').read_text())
    objects: dict[int, list[dict[str, Any]]] = {}
    for entry in content['annotations']:
        objects.setdefault(entry['image_id'], []).append(entry)
    images, annotations = [], []
    for image in content['images']:
        found = objects.get(image['id'], [])
        scale = SIDE / max(image['width'], image['height'])
        if len(images) == PICTURES or not _all_seen(found, scale):
            continue
        height, width = _resize(source / 'train2017' / image['file_name'], out)
        images.append(image | dict(height=height, width=width))
        for entry in found:
            annotations.append(
                entry
                | dict(
                    bbox=[value * scale for value in entry['bbox']],
                    area=entry['area'] * scale**2,
                    segmentation=[
                        [value * scale for value in outline] for outline in entry['segmentation']
                    ],
                )
            )
    kept = content | dict(images=images, annotations=annotations)
    (out / 'instances.json').write_text(json.dumps(kept))


def _all_seen(objects: list[dict[str, Any]], scale: float) -> bool:
    return 0 < len(objects) <= MOST_OBJECTS and all(
        not entry['iscrowd']
        and max(entry['bbox'][2:]) * scale >= LEAST_LONG
        and min(entry['bbox'][2:]) * scale >= LEAST_SHORT
        for entry in objects
    )


def make_ade(source: Path, out: Path) -> None:
    """Take pictures of ADE20K's training split, and of the validation split if there are few."""
    source = source / 'ADEChallengeData2016'
    pictures = sorted((source / 'images').glob('*/*.jpg'))[:PICTURES]
    for path in pictures:
        _resize(path, out / 'images')
        labels = source / 'annotations' / path.parent.name / f'{path.stem}.png'
        _resize(labels, out / 'annotations', interpolation=cv2.INTER_NEAREST)


def make_imagenet(source: Path, out: Path) -> None:
    """Take a picture of each of the first classes; the recipe's own pipeline resizes them."""
    for folder in sorted((source / 'train').iterdir())[:PICTURES]:
        (out / folder.name).mkdir(parents=True)
        picture = min(folder.iterdir())
        shutil.copyfile(picture, out / folder.name / picture.name)


def _resize(path: Path, out: Path, interpolation: int = cv2.INTER_AREA) -> tuple[int, int]:
    """Write a copy of a picture; return its height and width."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = (round(height * scale), round(width * scale))
    out.mkdir(parents=True, exist_ok=True)
    resized: np.ndarray = cv2.resize(picture, size[::-1], interpolation=interpolation)
    suffix = path.suffix
    encoded = cv2.imencode(suffix, resized)[1]
    (out / path.name).write_bytes(encoded.tobytes())
    return size


MAKERS = dict(coco=make_coco, ade=make_ade, imagenet=make_imagenet)


def make(name: str, source: Path, out: Path) -> None:
    """Make the data of one source, unless they are there."""
    if out.exists():
        return
    growing = out.with_name(f'{out.name}.partial')
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(parents=True)
    MAKERS[name](source / name, growing)
    growing.rename(out)
