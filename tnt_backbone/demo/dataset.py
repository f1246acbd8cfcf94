"""The demo's data set on disk: scenes to detect and segment, single digits to classify.

::

    OUT/annotations/instances_{train,val}.json    COCO: boxes, masks (run-length encoded), area
    OUT/{train,val}/000000.jpg                    scenes
    OUT/semantic/{train,val}/000000.png           class of every pixel
    OUT/classification/{train,val}/<class>/       one digit a picture, small
    OUT/dataset.json                              the arguments it was made with; written last

Semantic masks hold 0 for the background, a class of its own, and 1 to 10 for the digits 0 to 9. In
mmseg that is ``reduce_zero_label=False`` with 11 classes; ``reduce_zero_label=True`` would leave 10
and ignore the background, as ADE20K does.
"""

import json
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import ExistingFileError, InputError
from .coco import CATEGORIES, annotation, semantic_mask
from .digits import CLASSES, SPLITS, Split, load_class, load_split
from .scenes import Scene, compose

MAX_DIGITS = 4  # in a scene
SCENE_HEIGHTS = (0.18, 0.36)  # of a digit, as a share of the shorter side
SINGLES_PER_SCENE = 3
SINGLE_SHARE = 4  # a single digit's picture has a quarter of the scenes' sides
SINGLE_MIN_SIZE = 16
SINGLE_HEIGHTS = (0.65, 0.88)  # about the same in pixels
MIN_SIZE = 32
JPEG_QUALITY = 95
SCENES_A_PROCESS = 100  # at least; starting a process takes as long as a few

RECIPE = 4  # raised with each change of what is drawn, so that older data are made again
STAMP = 'dataset.json'
PARTIAL = '.partial'  # where a data set grows until it is whole
CONTENTS = ('annotations', *SPLITS, 'semantic', 'classification')


def make_scene(split: Split, number: int, *, size: tuple[int, int], seed: int) -> Scene:
    """Compose scene ``number`` of a split, which does not depend on how many others are made."""
    rng = np.random.default_rng([seed, SPLITS.index(split), number, 0])
    digits = load_split(split)
    chosen = rng.integers(len(digits), size=rng.integers(1, MAX_DIGITS + 1))
    return compose(rng, [digits[i] for i in chosen], size=size, heights=SCENE_HEIGHTS)


def make_single(split: Split, number: int, *, size: tuple[int, int], seed: int) -> Scene:
    """Compose single digit ``number`` of a split, for classification; the classes take turns."""
    rng = np.random.default_rng([seed, SPLITS.index(split), number, 1])
    digits = load_class(split, number % len(CLASSES))
    height, width = (max(side // SINGLE_SHARE, SINGLE_MIN_SIZE) for side in size)
    while True:
        digit = digits[rng.integers(len(digits))]
        scene = compose(rng, [digit], size=(height, width), heights=SINGLE_HEIGHTS)
        if scene.instances:  # a broad digit, turned, may not fit
            return scene


def make_dataset(
    out: str | Path,
    *,
    train: int = 6000,
    val: int = 400,
    size: int | tuple[int, int] = 128,
    seed: int = 0,
) -> bool:
    """Write the data set, unless it is there already.

    The same arguments give the same files, byte for byte, on the same versions of NumPy, OpenCV
    and scikit-learn.

    Args:
        out: Folder for the data set. One that holds a data set of other arguments is made again,
            whole.
        train: Scenes of the train split, and three single digits for each.
        val: Likewise of the val split, which draws from digits that the train split never shows.
        size: Side of the scenes in pixels, or ``(H, W)``.
        seed: Where all random choices come from.

    Returns:
        Whether anything was written.

    Raises:
        ValueError: If a number is out of range.
        FileExistsError: If ``out`` is a file, or a folder of something else.
    """
    shape = (size, size) if isinstance(size, int) else size
    counts: dict[Split, int] = dict(train=train, val=val)
    _check_numbers(counts, shape, seed)
    out = Path(out)
    stamp = dict(recipe=RECIPE, train=train, val=val, size=list(shape), seed=seed)
    if _read_stamp(out) == stamp:
        return False

    growing = out / PARTIAL
    shutil.rmtree(growing, ignore_errors=True)
    for split, count in counts.items():
        _write_split(growing, split, count, size=shape, seed=seed)

    (growing / STAMP).write_text(json.dumps(stamp, indent=2) + '\n')
    (out / STAMP).unlink(missing_ok=True)
    for name in CONTENTS:
        shutil.rmtree(out / name, ignore_errors=True)
        (growing / name).rename(out / name)
    (growing / STAMP).rename(out / STAMP)
    growing.rmdir()
    return True


def _check_numbers(counts: dict[Split, int], size: tuple[int, ...], seed: int) -> None:
    for split, count in counts.items():
        if count < 1:
            raise InputError(f'{split}={count} must be at least 1: the number of scenes')
    if len(size) != 2 or min(size) < MIN_SIZE:
        raise InputError(
            f'size={size} must be one side or (height, width), each at least {MIN_SIZE} pixels'
        )
    if seed < 0:
        raise InputError(f'seed={seed} must not be negative')


def _read_stamp(out: Path) -> dict[str, Any] | None:
    """Return the arguments of the data set in ``out``, or ``None`` if the folder is free."""
    if out.exists() and not out.is_dir():
        raise ExistingFileError(f'{out} is a file: name a folder for the data set')
    stamp = out / STAMP
    if stamp.is_file():
        return json.loads(stamp.read_text())
    if out.is_dir() and any(entry.name != PARTIAL for entry in out.iterdir()):
        raise ExistingFileError(
            f'{out} is not empty and holds no data set of ours (no {STAMP}), so nothing was '
            'written: name another folder, or empty this one'
        )
    return None


def _write_split(out: Path, split: Split, count: int, *, size: tuple[int, int], seed: int) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    sys.stdout.write(
        f'{split}: {count} scenes of {size[0]}x{size[1]} pixels, '
        f'{count * SINGLES_PER_SCENE} single digits\n'
    )
    write = partial(_write_scene, out, split, size=size, seed=seed)
    if count < SCENES_A_PROCESS:
        scenes = [write(number) for number in tqdm(range(count), disable=None)]
    else:
        workers = min(os.cpu_count() or 1, count // SCENES_A_PROCESS)
        load_split(split)  # here, so that the processes need not
        # OpenCV would start as many threads in each process as there are cores.
        with ProcessPoolExecutor(workers, initializer=cv2.setNumThreads, initargs=(1,)) as executor:
            written = executor.map(write, range(count), chunksize=16)
            scenes = list(tqdm(written, total=count, disable=None))
    for number, found in enumerate(scenes):
        height, width = size
        name = f'{number:06d}.jpg'
        images.append(dict(id=number + 1, file_name=name, height=height, width=width))
        for entry in found:
            entry['id'] = len(annotations) + 1
            annotations.append(entry)
    document = dict(
        info=dict(
            description=f'Handwritten digits on textured backgrounds, {split} split, seed {seed}'
        ),
        licenses=[],
        categories=CATEGORIES,
        images=images,
        annotations=annotations,
    )
    path = out / 'annotations' / f'instances_{split}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def _write_scene(
    out: Path, split: Split, number: int, *, size: tuple[int, int], seed: int
) -> list[dict[str, Any]]:
    """Write a scene and its single digits; return the scene's annotations, not yet numbered."""
    scene = make_scene(split, number, size=size, seed=seed)
    _write_image(out / split / f'{number:06d}.jpg', scene.image)
    mask = semantic_mask(scene.instances, size)
    _write_image(out / 'semantic' / split / f'{number:06d}.png', mask)
    for i in range(number * SINGLES_PER_SCENE, (number + 1) * SINGLES_PER_SCENE):
        single = make_single(split, i, size=size, seed=seed)
        folder = CLASSES[single.instances[0].digit.label]
        _write_image(out / 'classification' / split / folder / f'{i:06d}.jpg', single.image)
    return [
        annotation(instance, annotation_id=0, image_id=number + 1) for instance in scene.instances
    ]


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture ``(H, W, 3)`` as JPEG or a mask ``(H, W)`` as PNG."""
    if path.suffix == '.jpg':
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(path.suffix, bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    else:
        _, data = cv2.imencode(path.suffix, image)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())  # raises when the disk is full, which cv2.imwrite does not
