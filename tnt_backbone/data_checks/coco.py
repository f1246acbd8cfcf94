"""Looks through COCO annotations for what MMDetection drops without a word or fails on later."""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset, CocoPanopticDataset, LVISV05Dataset
from mmengine.dataset import BaseDataset

from .datasets import shorten

SECTIONS = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox', 'area'),
    'categories': ('id', 'name'),
}


def is_plain_coco(dataset: BaseDataset) -> bool:
    """Whether a data set reads COCO's own format; some of its subclasses read another."""
    other_formats = (CocoPanopticDataset, LVISV05Dataset)
    return isinstance(dataset, CocoDataset) and not isinstance(dataset, other_formats)


def check_coco(dataset: CocoDataset) -> list[str]:
    """Check the annotations of one data set.

    Args:
        dataset: Built with ``lazy_init=True``; its files exist.

    Returns:
        Notes for the log: boxes and images that MMDetection leaves out, classes in another order.

    Raises:
        ValueError: If the file is not COCO's, lacks classes of the data set, or has no box to train
            on.
        FileNotFoundError: If images are missing that would be read.
    """
    path = dataset.ann_file
    content = read_annotations(path, annotated=not dataset.test_mode)
    notes = check_classes(dataset, [category['name'] for category in content['categories']])
    images = {image['id']: image for image in content['images']}
    boxes = content['annotations']
    unknown = [box['id'] for box in boxes if box['image_id'] not in images]
    if unknown:
        raise ValueError(
            f'{path}: {len(unknown)} annotations are of images that the file does not list '
            f'(annotation ids {shorten(unknown)}). Add the images or remove the annotations'
        )

    check_boxes(dataset, content)
    check_masks(dataset, content)
    categories = {category['id'] for category in content['categories']}
    unlisted = [box['id'] for box in boxes if box['category_id'] not in categories]
    flat = [box['id'] for box in boxes if _is_flat(box, images[box['image_id']])]
    boxes_of = Counter(box['image_id'] for box in boxes)
    empty = [image['file_name'] for key, image in images.items() if not boxes_of[key]]
    drops_empty = not dataset.test_mode and (dataset.filter_cfg or {}).get('filter_empty_gt', False)
    report = [f'{path}: {len(images)} images, {len(boxes)} boxes']
    if flat:
        report.append(
            f'boxes with no area in the image or a side under 1 pixel, left out: {len(flat)} '
            f'(annotation ids {shorten(flat)})'
        )
    if unlisted:
        report.append(
            f'boxes of a category that the file does not list, left out: {len(unlisted)} '
            f'(annotation ids {shorten(unlisted)})'
        )
    if empty and boxes:
        report.append(
            f'images without annotation, {"left out of training" if drops_empty else "kept"}: '
            f'{len(empty)} ({shorten(empty)})'
        )
    if len(report) > 1:
        notes.append('; '.join(report))

    left_out = set(empty) if drops_empty else set()
    names = [image['file_name'] for image in images.values()]
    _check_images(dataset.data_prefix['img'], [n for n in names if n not in left_out], path)
    return notes


def read_annotations(path: str, *, annotated: bool) -> dict[str, list[dict[str, Any]]]:
    """Read a file; COCO's test sets have no list of annotations."""
    try:
        content = json.loads(Path(path).read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path} is not JSON ({error}); download or write it again') from error
    if isinstance(content, dict) and not annotated:
        content.setdefault('annotations', [])
    for section, keys in SECTIONS.items():
        if not isinstance(content, dict) or not isinstance(content.get(section), list):
            found = sorted(content)[:6] if isinstance(content, dict) else type(content).__name__
            raise ValueError(
                f'{path} is not in COCO format: it has no list "{section}" (found: {found}). '
                'See docs/datasets.md'
            )
        for entry in content[section]:
            missing = [key for key in keys if key not in entry]
            if missing:
                raise ValueError(
                    f'{path}: an entry of "{section}" has no {", ".join(missing)}: '
                    f'{shorten([entry])}. See docs/datasets.md'
                )
    for section in ('images', 'annotations'):
        times = Counter(entry['id'] for entry in content[section])
        if repeated := [key for key, number in times.items() if number > 1]:
            raise ValueError(
                f'{path}: {len(repeated)} ids of "{section}" occur more than once '
                f'({shorten(repeated)}), and only the last of each would be read. Number them anew'
            )
    broken = [box['id'] for box in content['annotations'] if not _is_box(box['bbox'])]
    if broken:
        raise ValueError(
            f'{path}: the bbox of {len(broken)} annotations is not four finite numbers, '
            f'[x, y, width, height] in pixels (annotation ids {shorten(broken)})'
        )
    return content


def check_boxes(dataset: CocoDataset, content: dict[str, list[dict[str, Any]]]) -> None:
    """Refuse a training set of which MMDetection would use no box."""
    if dataset.test_mode or not (dataset.filter_cfg or {}).get('filter_empty_gt', False):
        return  # pictures of the background alone are in use beside others
    if all(box.get('iscrowd') for box in _kept_boxes(dataset, content)):
        raise ValueError(
            f'{dataset.ann_file}: none of its {len(content["annotations"])} boxes can be trained '
            'on: they must have an area within an image, a category that is a class of the '
            'config, and not be a crowd'
        )


def _kept_boxes(
    dataset: CocoDataset, content: dict[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What ``CocoDataset.parse_data_info`` makes instances of."""
    images = {image['id']: image for image in content['images']}
    names = {category['id']: category['name'] for category in content['categories']}
    return [
        box
        for box in content['annotations']
        if box['image_id'] in images
        and names.get(box['category_id']) in dataset.metainfo['classes']
        and not box.get('ignore')
        and not _is_flat(box, images[box['image_id']])
    ]


def check_masks(dataset: CocoDataset, content: dict[str, list[dict[str, Any]]]) -> None:
    """Refuse boxes without a mask where masks are read: loading them would fail."""
    transforms = getattr(dataset.pipeline, 'transforms', ())
    if not any(getattr(transform, 'with_mask', False) for transform in transforms):
        return
    kept = _kept_boxes(dataset, content)
    bare = [box['id'] for box in kept if not box.get('segmentation')]
    if bare:
        raise ValueError(
            f'{dataset.ann_file}: {len(bare)} of {len(kept)} boxes have no '
            f'"segmentation" (annotation ids {shorten(bare)}), and the pipeline of the config '
            'reads masks. Add the masks, or take a detector without them (RetinaNet, Faster R-CNN)'
        )


def check_classes(dataset: CocoDataset, categories: list[str]) -> list[str]:
    """MMDetection numbers the categories that it finds: a missing one shifts those behind it."""
    path, classes = dataset.ann_file, dataset.metainfo['classes']
    missing = [name for name in classes if name not in categories]
    if missing:
        raise ValueError(
            f'{path} has no category {shorten(missing)}. Its {len(categories)} categories are '
            f'{shorten(categories, most=20)}; the config wants {len(classes)} classes. Name those '
            'of the file by metainfo=dict(classes=(...)) in each dataset of the config (a comma '
            'behind a single one), and set num_classes of the heads'
        )
    if twice := sorted({name for name in classes if categories.count(name) > 1}):
        raise ValueError(
            f'{path}: several categories have the name {shorten(twice)}, so that the labels behind '
            'it would shift. Make them one'
        )
    notes = []
    if list(classes) != [name for name in categories if name in classes]:
        notes.append(
            f'{path}: the classes of the config stand in another order than the categories of the '
            'file. Labels follow the file, so pictures would show wrong names: use its order'
        )
    unused = [name for name in categories if name not in classes]
    if unused:
        notes.append(
            f'{path}: categories that are no classes of the config, left out: {len(unused)} '
            f'({shorten(unused)})'
        )
    return notes


def _is_box(bbox: Any) -> bool:
    return (
        isinstance(bbox, list)
        and len(bbox) == 4
        and all(isinstance(number, (int, float)) and math.isfinite(number) for number in bbox)
    )


def _is_flat(box: dict[str, Any], image: dict[str, Any]) -> bool:
    """What ``CocoDataset.parse_data_info`` leaves out."""
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
