"""A data set of large pictures, cut into slices to train on: pictures, boxes and masks.

sahi chooses the slices, as for ``tnt predict --tiles``. Its ``slice_coco`` is not used: in 0.11 it
makes objects of crowd regions, and rectangles of masks that are run lengths.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image, ImageOps
from pycocotools import mask as coco_masks

from ..data_checks.coco_file import CocoFile, Entry, read_coco
from ..data_checks.label_maps import UNREADABLE
from ..errors import ExistingFileError, InputError
from ..predict.tiles import OVERLAP, require_sahi
from ..whole_file import whole_file, write_whole
from .shapes import to_mask
from .shared import PHASES, dicts, leaf_dataset

LEAST_SHARE = 0.1  # of an object: what shows less of it in a slice is ignored there; sahi's default


def slice_data(cfg: Config, side: int, folder: Path, *, overwrite: bool = False) -> list[str]:
    """Cut the pictures of a config of MMDetection, and let it read the slices, in place.

    Args:
        cfg: The config, whose data sets read files in COCO's format.
        side: Of a slice, in pixels. Smaller pictures are one slice.
        folder: For the slices. A folder for each file in COCO's format is made in it.
        overwrite: Whether an existing folder is replaced.

    Returns:
        What was changed, a line each.

    Raises:
        FileExistsError: If the folder exists.
        ImportError: If sahi is not installed.
        ValueError: If a picture has another size than its file says.
    """
    require_sahi()
    if folder.exists():
        if not overwrite:
            raise ExistingFileError(f'{folder} exists. Pass another OUT.py, or --force')
        shutil.rmtree(folder)
    written: dict[str, tuple[Path, str]] = {}
    for phase in PHASES:
        leaf = leaf_dataset(cfg, phase)
        source = leaf['ann_file']
        if source not in written:
            target = folder / Path(source).stem
            written[source] = slice_file(
                read_coco(source), Path(leaf['data_prefix']['img']), target, side
            )
        leaf['ann_file'] = str(written[source][0])
        leaf['data_prefix'] = {'img': f'{written[source][0].with_suffix("")}/'}
        for part in dicts(cfg.get(f'{phase}_evaluator')):
            if part.get('ann_file') == source:
                part['ann_file'] = str(written[source][0])
    scales = [part for part in dicts([cfg.get(f'{phase}_dataloader') for phase in PHASES])
              if str(part.get('type')).endswith('Resize') and 'scale' in part]  # fmt: skip
    for part in scales:
        part['scale'] = (side, side)
    return [
        *(text for _, text in written.values()),
        f'slices are read in their own size: scale=({side}, {side}) in {len(scales)} pipelines',
        f'whole pictures: tnt predict CHECKPOINT SOURCE --tiles {side}',
    ]


def slice_file(file: CocoFile, images: Path, target: Path, side: int) -> tuple[Path, str]:
    """Cut the pictures of a file in COCO's format.

    A slice shows each object with at least ``LEAST_SHARE`` of its area. What shows less of an
    object is a crowd region of its class there, so it is learned neither as object nor as
    background.

    Args:
        file: The annotations.
        images: Folder of its pictures.
        target: Folder for the slices, as PNG files. ``target.json`` is written beside it.
        side: Of a slice, in pixels.

    Returns:
        The new file, and what was written.

    Raises:
        ValueError: If a picture has another size than the file says.
    """
    from sahi.slicing import get_slice_bboxes

    boxes_of: dict[Any, list[Entry]] = {}
    for box in file.boxes:
        boxes_of.setdefault(box['image_id'], []).append(box)
    new_images: list[Entry] = []
    new_boxes: list[Entry] = []
    damaged = []
    for number, image in enumerate(file.images.values()):
        try:
            with Image.open(images / image['file_name']) as opened:
                picture = ImageOps.exif_transpose(opened)
                picture.load()
        except UNREADABLE:
            damaged.append(image['file_name'])
            continue
        width, height = picture.size
        if (width, height) != (image['width'], image['height']):
            raise InputError(
                f'{images / image["file_name"]} is {width}x{height} pixels, but {file.path} says '
                f'{image["width"]}x{image["height"]}. Correct the file, or leave out --slice'
            )
        slices = get_slice_bboxes(
            height, width, side, side, overlap_height_ratio=OVERLAP, overlap_width_ratio=OVERLAP
        )
        for x1, y1, x2, y2 in slices:
            x2, y2 = min(x2, width), min(y2, height)
            name = Path(image['file_name']).with_suffix('')
            if name.is_absolute() or '..' in name.parts:  # the slices stay below the target
                name = Path(f'elsewhere_{number}', name.name)
            path = target / name.parent / f'{name.name}_{x1}_{y1}.png'
            with whole_file(path) as part:
                picture.crop((x1, y1, x2, y2)).save(part)
            new_images.append(
                {
                    'id': len(new_images) + 1,
                    'file_name': str(path.relative_to(target)),
                    'width': x2 - x1,
                    'height': y2 - y1,
                }
            )
            for box in boxes_of.get(image['id'], ()):
                cut = cut_box(box, (x1, y1, x2, y2), (height, width))
                if cut is not None:
                    ids = {'id': len(new_boxes) + 1, 'image_id': len(new_images)}
                    new_boxes.append({**box, **cut, **ids})
    path = target.with_suffix('.json')
    content = {
        'images': new_images,
        'annotations': new_boxes,
        'categories': file.categories,
    }
    write_whole(path, json.dumps(content))
    text = f'{path}: {len(new_images)} slices of {len(file.images)} images'
    return path, text + (f', without {len(damaged)} that cannot be read' if damaged else '')


def cut_box(box: Entry, window: tuple[int, int, int, int], size: tuple[int, int]) -> Entry | None:
    """Return what changes in an annotation within a slice; ``None`` if it shows nothing of it.

    Args:
        box: The annotation.
        window: ``(x1, y1, x2, y2)`` of the slice, in pixels.
        size: ``(height, width)`` of the picture, in pixels.
    """
    x1, y1, x2, y2 = window
    x, y, width, height = box['bbox']
    left, top = max(x, x1), max(y, y1)
    right, bottom = min(x + width, x2), min(y + height, y2)
    if right <= left or bottom <= top:
        return None
    cut: Entry = {'bbox': [left - x1, top - y1, right - left, bottom - top]}
    share = (right - left) * (bottom - top) / (width * height)
    if segmentation := box.get('segmentation'):
        mask = to_mask(segmentation, size)
        part = mask[y1:y2, x1:x2]
        if not part.any():
            return None
        share = part.sum() / mask.sum()
        runs = coco_masks.encode(np.asfortranarray(part))
        cut['segmentation'] = {'size': runs['size'], 'counts': runs['counts'].decode()}
        cut['bbox'] = coco_masks.toBbox(runs).tolist()
    cut['area'] = box['area'] * float(share)
    if share < LEAST_SHARE:
        cut['iscrowd'] = 1
    return cut
