"""A user's own images and label maps, put into a config of MMSegmentation.

::

    DIR/images/train/a.jpg    DIR/labels/train/a.png     pixels: 0, 1, ... = class, 255 = ignored
    DIR/images/val/b.jpg      DIR/labels/val/b.png
    DIR/classes.txt                                      one name a line: class 0, class 1, ...

``IMAGES``, ``LABELS`` and ``SPLITS`` list the other names that are understood.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from ..data_checks.findings import shorten
from .shared import dicts, evaluators, finish, leaf_dataset, set_class_count

IMAGES = ('images', 'img_dir', 'JPEGImages')
LABELS = ('labels', 'masks', 'annotations', 'ann_dir', 'SegmentationClassPNG', 'SegmentationClass')
SPLITS = {'train': ('train', 'training'), 'val': ('val', 'validation', 'test')}
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff')
LOSSY = ('.jpg', '.jpeg', '.webp')
IGNORED = 255  # MMSegmentation's ignore_index
LAYOUT = (
    'What is wanted: DIR/images/{train,val} and DIR/labels/{train,val} with label maps of the same '
    'names as .png, and the names of the classes in DIR/classes.txt (docs/tutorial.md)'
)


def set_mask_data(cfg: Config, root: Path) -> list[str]:
    """Let a config of MMSegmentation read other images and label maps, in place.

    Args:
        cfg: A whole config.
        root: The folder; its layout is that of this file's head.

    Returns:
        What was changed, a line each.

    Raises:
        FileNotFoundError: If a folder, or the label map of an image, is not there.
        ValueError: If the label maps are not what MMSegmentation reads as classes.
    """
    images, labels = _folder(root, IMAGES), _folder(root, LABELS)
    image_suffix, label_suffix, files = '', '', {}
    for phase, names in SPLITS.items():
        folders = _folder(images, names), _folder(labels, names)
        suffixes, maps = _pairs(*folders)
        if image_suffix and suffixes != (image_suffix, label_suffix):
            raise ValueError(
                f'{folders[0]} has other file endings {suffixes} than the images of training '
                f'{(image_suffix, label_suffix)}: give both the same'
            )
        image_suffix, label_suffix = suffixes
        files[phase] = (*folders, maps)
    classes, palette = _classes(root, files['train'][2])

    metainfo: dict[str, Any] = {'classes': classes}
    if palette:
        metainfo['palette'] = palette
    changes = [f'classes: {len(classes)} ({shorten(classes)})', *set_class_count(cfg, len(classes))]
    for phase in ('train', 'val', 'test'):
        image_folder, label_folder, maps = files['train' if phase == 'train' else 'val']
        leaf = leaf_dataset(cfg, phase)
        pipeline = leaf.get('pipeline', [])
        leaf.clear()
        leaf.update(
            type='BaseSegDataset',
            data_root=str(root),
            data_prefix={
                'img_path': str(image_folder.relative_to(root)),
                'seg_map_path': str(label_folder.relative_to(root)),
            },
            img_suffix=image_suffix,
            seg_map_suffix=label_suffix,
            metainfo=metainfo,
            reduce_zero_label=False,
            pipeline=pipeline,
        )
        changes.append(f'{phase}: {len(maps)} images in {image_folder}, labels in {label_folder}')
        measures = evaluators(cfg, phase)
        if phase != 'train' and [measure['type'] for measure in measures] != ['IoUMetric']:
            cfg[f'{phase}_evaluator'] = {'type': 'IoUMetric', 'iou_metrics': ['mIoU']}
    # The data set tells the pipelines that 0 is a class; an option of theirs would contradict.
    for node in dicts([cfg[key] for key in cfg if key.endswith(('_dataloader', '_pipeline'))]):
        if str(node.get('type')).rpartition('.')[2] == 'LoadAnnotations':
            node.pop('reduce_zero_label', None)
    changes.append(f'label 0 is {classes[0]!r}; {IGNORED} is ignored')
    return [*changes, *finish(cfg, best='mIoU')]


def _folder(parent: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (parent / name).is_dir():
            return parent / name
    raise FileNotFoundError(f'{parent} has no folder {" or ".join(names[:3])}. {LAYOUT}')


def _pairs(images: Path, labels: Path) -> tuple[tuple[str, str], list[Path]]:
    """Find how the two folders' files end, and the label map of each image."""
    found = [path for path in images.rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES]
    suffixes = sorted({path.suffix for path in found})
    if len(suffixes) != 1:
        raise ValueError(
            f'the images of {images} end in {suffixes or "nothing known"}: MMSegmentation wants '
            'one ending for all, so convert or rename the others'
        )
    stems = sorted(str(path.relative_to(images).with_suffix('')) for path in found)
    there = {str(path.relative_to(labels)) for path in labels.rglob('*') if path.is_file()}
    endings = {name[len(stems[0]) :] for name in there if name.startswith(stems[0])} or {'.png'}

    def missing(ending: str) -> list[str]:
        return [stem + ending for stem in stems if stem + ending not in there]

    ending = min(sorted(endings), key=lambda ending: len(missing(ending)))
    if missing(ending):
        raise FileNotFoundError(
            f'{len(missing(ending))} of {len(stems)} images of {images} have no label map in '
            f'{labels}: {shorten(missing(ending))}. {LAYOUT}'
        )
    if ending.lower().endswith(LOSSY):
        raise ValueError(
            f'the label maps of {labels} end in {ending}, which changes values when it is '
            'compressed: write them as .png'
        )
    return (suffixes[0], ending), [labels / (stem + ending) for stem in stems]


def _classes(root: Path, maps: list[Path]) -> tuple[tuple[str, ...], list[list[int]]]:
    """Names from classes.txt, else from the labels; and the colours of the maps, if any."""
    sys.stdout.write(f'label maps of {root}:\n')
    used: set[int] = set()
    for file in tqdm(maps, disable=None):  # no bar in a log
        used |= _labels(file)
    used -= {IGNORED}
    listed = root / 'classes.txt'
    if not used:
        raise ValueError(
            f'the label maps hold nothing but {IGNORED}, which is ignored: write 0, 1, ... for the '
            'classes'
        )
    if listed.is_file():
        names = tuple(line.strip() for line in listed.read_text().splitlines() if line.strip())
        if max(used) >= len(names):
            raise ValueError(
                f'{listed} names {len(names)} classes, labels 0 to {len(names) - 1}, but the label '
                f'maps have {max(used)} too. The first line names label 0, such as background; '
                f'pixels of no class are {IGNORED}'
            )
    else:
        names = tuple(f'class {label}' for label in range(max(used) + 1))
        if absent := sorted(set(range(max(used))) - used):
            raise ValueError(
                f'the label maps hold {shorten(sorted(used), 8)}, but no {shorten(absent)}. Name '
                f'all classes, a line each, in {listed}; or number them 0, 1, ... without gaps'
            )
    if len(names) < 2:
        raise ValueError(
            f'the label maps know one class, {names[0]!r}, so there is nothing to tell apart: '
            f'write 0 for the background, 1 for the class; {IGNORED} is ignored'
        )
    with Image.open(maps[0]) as image:
        colours = (image.getpalette() or []) if image.mode == 'P' else []
    palette = [colours[3 * i : 3 * i + 3] for i in range(len(names))]
    return names, palette if len(colours) >= 3 * len(names) else []


def _labels(path: Path) -> set[int]:
    """The values of a label map, read as MMSegmentation does."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:  # the last: a broken PNG
        raise ValueError(f'{path} cannot be read as an image ({error})') from error
    if pixels.ndim != 2:
        raise ValueError(
            f'{path} has {pixels.shape[-1]} channels: a label map has one, with the number of the '
            "class (colours that stand for classes must be converted; a PNG's own palette is right)"
        )
    if pixels.max() > IGNORED:
        raise ValueError(f'{path} holds {pixels.max()}: labels are 0 to 254, and 255 is ignored')
    return set(np.flatnonzero(np.bincount(pixels.astype(np.uint8).ravel())).tolist())
