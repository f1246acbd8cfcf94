"""What MMDetection drops of COCO annotations without a word, or fails on later."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset, CocoPanopticDataset, LVISV05Dataset
from mmengine.dataset import BaseDataset

from .coco_file import CocoFile, Entry, read_coco
from .findings import Finding, notes_unless_error, shorten


def is_plain_coco(dataset: BaseDataset) -> bool:
    """Tell whether a data set reads COCO's own format; some of its subclasses read another."""
    other_formats = (CocoPanopticDataset, LVISV05Dataset)
    return isinstance(dataset, CocoDataset) and not isinstance(dataset, other_formats)


def check_coco(dataset: CocoDataset) -> list[str]:
    """Check the annotations of one data set, and that its images are there.

    Args:
        dataset: Built with ``lazy_init=True``; its files exist.

    Returns:
        Notes for the log: boxes and images that MMDetection leaves out, classes in another order.

    Raises:
        ValueError: If the file is not COCO's, or something in it is an error.
        FileNotFoundError: If images are missing that would be read.
    """
    file = read_file(dataset)
    notes = notes_unless_error(find_in_annotations(dataset, file))
    left_out = set(_empty_images(file)) if _drops_empty(dataset) else set()
    names = [image['file_name'] for image in file.images.values()]
    _check_images(dataset.data_prefix['img'], [n for n in names if n not in left_out], file.path)
    return notes


def read_file(dataset: CocoDataset) -> CocoFile:
    """Return the annotation file of a data set, which must have annotations unless it is a test's.

    Raises:
        ValueError: If the file is not COCO's.
    """
    file = read_coco(dataset.ann_file)
    if not dataset.test_mode:
        file.require_annotations()
    return file


def find_in_annotations(dataset: CocoDataset, file: CocoFile) -> list[Finding]:
    """Return all that can be found without opening an image, one finding for each kind.

    Args:
        dataset: Built with ``lazy_init=True``.
        file: What it reads.
    """
    unlisted = [box['id'] for box in file.boxes if box['image_id'] not in file.images]
    findings = [*find_in_classes(dataset, file)]
    if unlisted:
        text = (
            f'{len(unlisted)} annotations are of images that the file does not list (annotation '
            f'ids {shorten(unlisted)}). Add the images or remove the annotations'
        )
        findings.append(Finding('box of an image that is not listed', file.path, text))
    findings += find_in_training(dataset, file)
    return [*findings, *_find_left_out(dataset, file)]


def find_in_training(dataset: CocoDataset, file: CocoFile) -> list[Finding]:
    """Return what a training would fail on: no box at all, or boxes without their masks."""
    kept, findings = _kept_boxes(dataset, file), []
    # without filter_empty_gt, images of only the background are in use beside others
    if _drops_empty(dataset) and all(box.get('iscrowd') for box in kept):
        text = (
            f'none of its {len(file.boxes)} boxes can be trained on: they must have an area within '
            'an image, a category that is a class of the config, and not be a crowd'
        )
        findings.append(Finding('no box to train on', file.path, text))
    transforms = getattr(dataset.pipeline, 'transforms', ())
    reads_masks = any(getattr(transform, 'with_mask', False) for transform in transforms)
    bare = [box['id'] for box in kept if not box.get('segmentation')]
    if reads_masks and bare:
        text = (
            f'{len(bare)} of {len(kept)} boxes have no "segmentation" (annotation ids '
            f'{shorten(bare)}), and the pipeline of the config reads masks. Add the masks, or take '
            'a detector without them (RetinaNet, Faster R-CNN)'
        )
        findings.append(Finding('box without a mask', file.path, text))
    return findings


def find_in_classes(dataset: CocoDataset, file: CocoFile) -> list[Finding]:
    """Return where the classes of the config and the categories of the file differ.

    MMDetection numbers the categories that it finds: a missing one shifts those behind it.
    """
    classes, names = dataset.metainfo['classes'], file.names
    if missing := [name for name in classes if name not in names]:
        text = (
            f'it has no category {shorten(missing)}. Its {len(names)} categories are '
            f'{shorten(names, most=20)}; the config wants {len(classes)} classes. Name those of '
            'the file in metainfo=dict(classes=(...)) in each dataset of the config (with a comma '
            'behind a single one), and set num_classes of the heads'
        )
        return [Finding('classes do not match', file.path, text)]
    if twice := sorted({name for name in classes if names.count(name) > 1}):
        text = (
            f'several categories have the name {shorten(twice)}, so that the labels behind it '
            'would shift. Make them one'
        )
        return [Finding('classes do not match', file.path, text)]
    findings = []
    if list(classes) != [name for name in names if name in classes]:
        text = (
            'the classes of the config stand in another order than the categories of the file. '
            'Labels follow the file, so pictures would show wrong names: use its order'
        )
        findings.append(Finding('classes in another order', file.path, text))
    if unused := [name for name in names if name not in classes]:
        text = (
            'categories that are no classes of the config, left out: '
            f'{len(unused)} ({shorten(unused)})'
        )
        findings.append(Finding('category that is no class', file.path, text))
    return findings


def _find_left_out(dataset: CocoDataset, file: CocoFile) -> list[Finding]:
    """Return the boxes and images that MMDetection passes over."""
    categories = {category['id'] for category in file.categories}
    flat = [box['id'] for box in file.boxes if _is_flat(box, file.images.get(box['image_id']))]
    unlisted = [box['id'] for box in file.boxes if box['category_id'] not in categories]
    empty = _empty_images(file)
    size = f'{len(file.images)} images, {len(file.boxes)} boxes; '
    findings = []
    if flat:
        text = (
            f'boxes with no area in the image or a side under 1 pixel, left out: {len(flat)} '
            f'(annotation ids {shorten(flat)})'
        )
        findings.append(Finding('box without area', file.path, size + text))
    if unlisted:
        text = (
            f'boxes of a category that the file does not list, left out: {len(unlisted)} '
            f'(annotation ids {shorten(unlisted)})'
        )
        findings.append(Finding('box of a category that is not listed', file.path, size + text))
    if empty and file.boxes:
        fate = 'left out of training' if _drops_empty(dataset) else 'kept'
        text = f'images without annotation, {fate}: {len(empty)} ({shorten(empty)})'
        findings.append(Finding('image without annotation', file.path, size + text))
    return findings


def _drops_empty(dataset: CocoDataset) -> bool:
    return not dataset.test_mode and (dataset.filter_cfg or {}).get('filter_empty_gt', False)


def _empty_images(file: CocoFile) -> list[str]:
    boxes_of = Counter(box['image_id'] for box in file.boxes)
    return [image['file_name'] for key, image in file.images.items() if not boxes_of[key]]


def _kept_boxes(dataset: CocoDataset, file: CocoFile) -> list[Entry]:
    """Return what ``CocoDataset.parse_data_info`` makes instances of."""
    names = {category['id']: category['name'] for category in file.categories}
    return [
        box
        for box in file.boxes
        if box['image_id'] in file.images
        and names.get(box['category_id']) in dataset.metainfo['classes']
        and not box.get('ignore')
        and not _is_flat(box, file.images[box['image_id']])
    ]


def _is_flat(box: Entry, image: dict[str, Any] | None) -> bool:
    """Tell whether ``CocoDataset.parse_data_info`` leaves a box out."""
    if image is None:
        return False
    x, y, width, height = box['bbox']
    inside_width = min(x + width, image['width']) - max(x, 0)
    inside_height = min(y + height, image['height']) - max(y, 0)
    return box['area'] <= 0 or width < 1 or height < 1 or inside_width <= 0 or inside_height <= 0


def _check_images(folder: str, names: list[str], ann_file: str) -> None:
    """List each folder once: quicker than asking for 118287 files."""
    there: set[Path] = set()
    for parent in {Path(folder, name).parent for name in names}:
        if parent.is_dir():
            there.update(Path(entry.path) for entry in os.scandir(parent))
    missing = [name for name in names if Path(folder, name) not in there]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(names)} images of {ann_file} are not in {folder}: '
            f'{shorten(missing)}. Add them, or take them out of the annotations. '
            'See docs/datasets.md'
        )
