"""Label maps for MMSegmentation, drawn from the outlines of objects in COCO's format."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..data_checks.coco import find_for_outlines
from ..data_checks.coco_file import CocoFile
from ..data_checks.coco_masks import find_mask_fault
from ..data_checks.coco_values import Entry
from ..data_checks.findings import notes_unless_error, shorten
from ..data_checks.label_maps import IGNORED
from ..errors import InputError
from ..predict.draw import class_colours
from ..whole_file import whole_file, write_whole
from .mask_layouts import Place
from .shapes import to_mask

BACKGROUND = 'background'
FEW = 0.1  # share of the objects that may have no outline


class Drawing(NamedTuple):
    """Label maps that were written.

    Attributes:
        root: Their folder, with ``classes.txt``.
        places: Images and label maps of each phase.
        notes: What the user should know, one line each.
    """

    root: Path
    places: dict[str, Place]
    notes: list[str]


def draw_label_maps(files: Mapping[str, tuple[CocoFile, Path]], target: Path) -> Drawing:
    """Write a label map for each image.

    What no object covers is background, label 0. If objects cover everything, there is no such
    class. Where objects overlap, the smaller one is on top. Crowds, boxes without an outline, and
    objects of no listed category are ignored pixels.

    Args:
        files: Of each phase, the annotations and the folder of their images; ``'train'`` first.
        target: Folder for the label maps: ``TARGET/PHASE/NAME.png``.

    Raises:
        ValueError: If more than a tenth of the objects have no outline, one cannot be drawn, the
            outlines do not fit the boxes, or an image does not lie below its folder.
    """
    file = files['train'][0]
    classes = [BACKGROUND, *(name for name in file.names if name.lower() != BACKGROUND)]
    if len(classes) > IGNORED:
        raise InputError(
            f'{file.path} has {len(classes) - 1} classes. Label maps have room for {IGNORED - 1}'
        )
    places: dict[str, Place] = {}
    used: Counter[int] = Counter()
    notes: list[str] = []
    for phase, (other, images) in files.items():
        same = next((p for p in places if files[p] == (other, images)), None)
        if same is None:
            notes += [*notes_unless_error(find_for_outlines(other)), *_check_outlines(other)]
            used += _draw(other, images, target / phase, classes)
        places[phase] = places[same] if same else _place(other, images, target / phase)
    if not used[0]:
        classes = classes[1:]
        for path in {p.labels / f'{name}.png' for p in places.values() for name in p.names or ()}:
            with Image.open(path) as picture:
                labels = np.asarray(picture).astype(int)
            _save(np.where(labels == IGNORED, IGNORED, labels - 1), path, classes)
    write_whole(target / 'classes.txt', ''.join(f'{name}\n' for name in classes))
    notes.append(
        f'label maps were drawn from the outlines, in {target}. Where objects overlap, the smaller '
        'one is on top'
    )
    return Drawing(target, places, notes)


def _place(file: CocoFile, images: Path, label_maps: Path) -> Place:
    names = sorted(str(Path(image['file_name']).with_suffix('')) for image in file.images.values())
    return Place(images.absolute(), label_maps.absolute(), tuple(names))


def _check_outlines(file: CocoFile) -> list[str]:
    """Return a note about objects without an outline.

    Raises:
        ValueError: If they are many, or an outline is broken.
    """
    bare, broken = [], {}
    for box in file.boxes:
        image = file.images.get(box['image_id'])
        outline = box.get('segmentation')
        if image is None:
            continue
        if not outline:
            bare += [] if box.get('iscrowd') else [box['id']]
        elif fault := find_mask_fault(outline, image['height'], image['width']):
            broken[box['id']] = fault
    if broken:
        raise InputError(
            f'{file.path}: the outlines of {len(broken)} objects cannot be drawn (annotation ids '
            f'{shorten(broken)}): {next(iter(broken.values()))}. Export the file again'
        )
    if len(bare) > FEW * len(file.boxes):
        raise InputError(
            f'{file.path}: {len(bare)} of {len(file.boxes)} objects have a box and no outline '
            f'(annotation ids {shorten(bare)}). A segmentor learns outlines. Draw polygons or '
            'masks, or start --from a config of MMDetection'
        )
    if not bare:
        return []
    return [
        f'{file.path}: {len(bare)} objects have no outline: {IGNORED} in their boxes is ignored'
    ]


def _draw(file: CocoFile, images: Path, target: Path, classes: Sequence[str]) -> Counter[int]:
    """Write the label maps of a file; return how many pixels each label has."""
    numbers = {name: number for number, name in enumerate(classes)}
    labels = {c['id']: numbers.get(c['name'], 0) for c in file.categories}  # Background is 0, too
    boxes: dict[Any, list[Entry]] = {}
    for box in file.boxes:
        boxes.setdefault(box['image_id'], []).append(box)
    used: Counter[int] = Counter()
    for image in tqdm(file.images.values(), f'label maps in {target}', disable=None):
        name = Path(image['file_name'])
        if name.is_absolute() or '..' in name.parts:  # the label maps stay below the target
            raise InputError(
                f'{file.path} names {name}, which is not below the folder of the images. Put all '
                'images into one folder, and name them relative to it'
            )
        size = image['height'], image['width']
        pixels = np.zeros(size, np.uint8)
        for box in sorted(boxes.get(image['id'], ()), key=_drawn_first):
            outline = box.get('segmentation')
            is_ignored = box.get('iscrowd') or not outline
            label = IGNORED if is_ignored else labels.get(box['category_id'], IGNORED)
            pixels[to_mask(outline, size) > 0 if outline else _inside(box['bbox'])] = label
        counts = np.bincount(pixels.ravel())
        used.update({label: int(counts[label]) for label in np.flatnonzero(counts).tolist()})
        _save(pixels, target / name.with_suffix('.png'), classes)
    return used


def _drawn_first(box: Entry) -> tuple[bool, float]:
    """Return what sorts objects: ignored ones first, then large before small ones."""
    is_whole = bool(box.get('segmentation')) and not box.get('iscrowd')
    return is_whole, -float(box.get('area') or box['bbox'][2] * box['bbox'][3])


def _inside(bbox: Sequence[float]) -> tuple[slice, slice]:
    """Return the pixels that a box touches."""
    x, y, width, height = bbox
    left, top = max(0, math.floor(x)), max(0, math.floor(y))
    return slice(top, max(top, math.ceil(y + height))), slice(left, max(left, math.ceil(x + width)))


def _save(labels: np.ndarray, path: Path, classes: Sequence[str]) -> None:
    """Write a label map whose palette shows the classes."""
    picture = Image.fromarray(labels.astype(np.uint8))
    # Pillow stores as few bits as the palette needs, so it must have a colour for 255 too.
    colours = [*class_colours(classes), *[(255, 255, 255)] * 256][:256]
    picture.putpalette([value for colour in colours for value in colour])
    with whole_file(path) as part:
        picture.save(part, format='PNG')
