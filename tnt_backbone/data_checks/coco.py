"""Find what MMDetection drops of COCO annotations silently, or fails on later."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.dataset import BaseDataset

from ..errors import MissingFileError
from .coco_file import HOW_TO_CORRECT, CocoFile, Entry, read_coco, to_box
from .coco_masks import box_of_mask, find_mask_fault
from .coco_values import is_finite
from .findings import Finding, notes_unless_error, shorten
from .image_headers import find_in_headers
from .places import hint_of_accents, leads_away

if TYPE_CHECKING:
    from mmdet.datasets import CocoDataset

CROWDS = 0.2  # share of crowds among the boxes of a class, from which on it is worth a note
# Why annotations are crowds, and what to do
SINGLE_OBJECTS = (
    'CVAT marks masks of its brush as crowds, and labelformat all masks of pixels. If they are '
    'single objects, set iscrowd=0'
)
ONLY_CROWDS = f'All {{}} annotations are marked as crowds (iscrowd=1). {SINGLE_OBJECTS}'
COMPARED = 1000  # boxes with masks, evenly drawn
LEAVING = 0.1  # share of the boxes that leave their images, from which on it is worth a note
OUTSIDE = 0.25  # share of the boxes outside their images, from which on their form is wrong
FEWEST = 4  # boxes that tell the form
QUARTER = 0.52  # of the width and height, with some pixels of rounding
FEWEST_IMAGES = 20  # of which no box reaches the middle
FEW_REPEATED = 0.01  # share of the annotations; public data sets have a handful
ADVICE = 'Add them, or take them out of the annotations. See docs/datasets.md'


def is_plain_coco(dataset: BaseDataset) -> bool:
    """Return whether a data set reads COCO's own format; some of its subclasses read another."""
    from mmdet.datasets import CocoDataset, CocoPanopticDataset, LVISV05Dataset

    other_formats = (CocoPanopticDataset, LVISV05Dataset)
    return isinstance(dataset, CocoDataset) and not isinstance(dataset, other_formats)


def check_coco(dataset: 'CocoDataset') -> list[str]:
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
    found = find_in_annotations(dataset, file)
    if not dataset.backend_args:
        steps = [type(step).__name__ for step in getattr(dataset.pipeline, 'transforms', ())]
        kept = 'LoadImageScaled' in steps
        found += [
            finding
            for finding in find_in_headers(dataset.data_prefix['img'], file)
            if not (kept and finding.kind == 'image of more than 8 bits')
        ]
    notes = notes_unless_error(found)
    left_out = set(_empty_images(file)) if _drops_empty(dataset) else set()
    names = [image['file_name'] for image in file.images.values()]
    _check_images(dataset.data_prefix['img'], [n for n in names if n not in left_out], file.path)
    return notes


def read_file(dataset: 'CocoDataset') -> CocoFile:
    """Return the annotation file of a data set, which must have annotations unless it is a test's.

    Raises:
        ValueError: If the file is not COCO's.
    """
    file = read_coco(dataset.ann_file)
    if not dataset.test_mode:
        file.require_annotations()
    return file


def find_in_annotations(dataset: 'CocoDataset', file: CocoFile) -> list[Finding]:
    """Return all that can be found without opening an image, one finding for each kind.

    Args:
        dataset: Built with ``lazy_init=True``.
        file: What it reads.
    """
    unlisted = [box for box in file.boxes if box['image_id'] not in file.images]
    folder = dataset.data_prefix['img']
    findings = [*find_in_classes(dataset, file), *_find_in_file(file), *_find_far(folder, file)]
    if unlisted:
        texts = {str(key): key for key in file.images}
        also = next((b for b in unlisted if str(b['image_id']) in texts), None)
        types = ''
        if also:
            listed = texts[str(also['image_id'])]
            types = (
                f'image_id is {also["image_id"]!r}, but the image has the id {listed!r}. '
                f'{HOW_TO_CORRECT}'
            )
        text = (
            f'{len(unlisted)} annotations are of images that the file does not list (annotation '
            f'ids {shorten([box["id"] for box in unlisted])}). '
        ) + (types or 'Add the images or remove the annotations')
        findings.append(Finding('box of an image that is not listed', file.path, text))
    if dataset.test_mode:
        findings += _find_in_evaluation(file)
    findings += find_in_training(dataset, file)
    return [*findings, *_find_left_out(dataset, file)]


def _find_in_file(file: CocoFile) -> list[Finding]:
    """Return what is wrong with a file whatever it is used for."""
    findings = []
    if not file.is_plain:
        text = (
            'it is no plain UTF-8 (a byte order mark, or UTF-16), and MMDetection fails at it. '
            f'{HOW_TO_CORRECT}'
        )
        findings.append(Finding('file that MMDetection cannot read', file.path, text))
    times = Counter(image['file_name'] for image in file.images.values())
    if twice := [name for name, number in times.items() if number > 1]:
        text = (
            f'{len(twice)} images are listed more than once, under other ids, so each is trained '
            f'on with a part of its boxes ({shorten(twice)}). {HOW_TO_CORRECT}'
        )
        findings.append(Finding('image that is listed twice', file.path, text))
    if shifted := _looks_shifted(file):
        findings.append(Finding('classes do not match', file.path, shifted))
    if text := _looks_like_corners(file) or _lie_outside(file):
        findings.append(Finding('boxes in another form', file.path, text))
    elif text := _lie_in_a_corner(file):
        findings.append(Finding('boxes in one corner of their images', file.path, text))
    if turned := find_turned(file.boxes):
        text = (
            f'{len(turned)} of {len(file.boxes)} boxes are those of rectangles before their '
            f'rotation, as CVAT writes them (attributes.rotation, annotation ids '
            f'{shorten(box["id"] for box in turned)}), so they do not fit the objects. '
            f'{HOW_TO_CORRECT}'
        )
        findings.append(Finding('boxes in another form', file.path, text))
    if again := find_repeated(file.boxes):
        text = (
            f'{len(again)} of {len(file.boxes)} annotations repeat another one: image, class, box '
            f'and mask are the same (annotation ids {shorten(box["id"] for box in again)}). The '
            'evaluation expects a box for each, so a perfect detector misses some. '
        )
        if len(again) > FEW_REPEATED * len(file.boxes):
            kind, text = 'many annotations that repeat others', text + HOW_TO_CORRECT
        else:
            kind, text = 'annotation that repeats another one', text + 'Take them out'
        findings.append(Finding(kind, file.path, text))
    return findings


def find_repeated(boxes: Iterable[Entry]) -> list[Entry]:
    """Return the annotations that are equal to an earlier one, but for their ids.

    Args:
        boxes: The annotations; ``bbox`` is a list.
    """
    first: dict[tuple[Any, ...], Entry] = {}
    again = []
    for box in boxes:
        rest = (box.get('area'), box.get('iscrowd', 0))
        key = (box['image_id'], box['category_id'], *box['bbox'], *rest)
        other = first.setdefault(key, box)
        if other is not box and other.get('segmentation') == box.get('segmentation'):
            again.append(box)
    return again


def find_turned(boxes: Iterable[Entry]) -> list[Entry]:
    """Return the annotations whose box is that of a rectangle before its rotation."""
    return [
        box
        for box in boxes
        if 'attributes' in box
        and turn_of(box) % 180
        and not box.get('segmentation')
        and to_box(box.get('bbox'))
    ]


def turn_of(box: Entry) -> float:
    """Return the degrees by which CVAT says that a rectangle was rotated."""
    said = box['attributes'].get('rotation') if isinstance(box['attributes'], dict) else None
    return float(said) if said is not None and is_finite(said) else 0.0


def _find_far(folder: str, file: CocoFile) -> list[Finding]:
    """Return the images whose names lead away from the data: a file must not choose what is read.

    What lies in the folder of the images, or beside the file, belongs to the data. A link that lies
    there may lead anywhere: somebody on this computer made it.
    """
    roots = (folder, str(Path(file.path).parent.parent))
    names = [image['file_name'] for image in file.images.values()]
    if not (far := [name for name in names if leads_away(name, folder, roots)]):
        return []
    text = (
        f'{len(far)} of {len(names)} file names lead out of {folder or "this folder"}: '
        f'{shorten(far)}. Write them relative to the folder of the images. If you trust the file, '
        'name a folder above them: --images DIR (in a config: data_prefix), or / for whole paths'
    )
    return [Finding('image elsewhere', file.path, text)]


def _looks_shifted(file: CocoFile) -> str | None:
    """Return a text if boxes count the ids of categories from another number than the list."""
    used = {box['category_id'] for box in file.boxes}
    listed = {category['id'] for category in file.categories}
    if used <= listed or not all(isinstance(number, int) for number in used):
        return None
    for shift in (1, -1):
        if {number + shift for number in used} <= listed:
            return (
                f'its boxes have the category_ids {shorten(sorted(used))}, but its categories have '
                f'the ids {shorten(sorted(listed))}. The boxes seem to be counted from another '
                f'number: with {shift:+d}, all of them are listed. Correct the category_ids, or '
                'remove the boxes whose category is not listed'
            )
    return None


def _looks_like_corners(file: CocoFile) -> str:
    """Return a message if boxes seem to be ``x1, y1, x2, y2``, not ``x, y, width, height``."""
    over = corners = total = by_area = 0
    for box in file.boxes:
        image = file.images.get(box['image_id'])
        if image is None:
            continue
        total += 1
        x, y, third, fourth = box['bbox']
        width, height = image['width'], image['height']
        over += x + third > width + 1 or y + fourth > height + 1
        corners += x < third <= width + 1 and y < fourth <= height + 1
        by_area += has_area_of_corners(box['bbox'], box.get('area'))
    if total < 4 or corners < 0.99 * total:
        return ''
    if over >= 0.2 * total:
        why = (
            f'{over} of {total} boxes reach over the edge of their image, and all of them would be '
            'inside as [x1, y1, x2, y2]'
        )
    elif by_area > 0.5 * total:
        why = f'{by_area} of {total} boxes have the area that is written only as [x1, y1, x2, y2]'
    elif _fits_masks(file, as_corners=True) > 0.5 > _fits_masks(file):
        why = 'the boxes fit their masks only as [x1, y1, x2, y2]'
    else:
        return ''
    return f'{why}. COCO writes [x, y, width, height]. Convert them'


def _lie_outside(file: CocoFile) -> str:
    """Return a message if many boxes lie outside their images, as those of larger images do."""
    boxes = [
        box for box in file.boxes if box['image_id'] in file.images and min(box['bbox'][2:]) > 0
    ]
    outside = []
    for box in boxes:
        image = file.images[box['image_id']]
        x, y, width, height = box['bbox']
        is_inside = x < image['width'] and y < image['height'] and x + width > 0 and y + height > 0
        outside += [] if is_inside else [box['id']]
    if len(boxes) < FEWEST or len(outside) <= OUTSIDE * len(boxes):
        return ''
    return (
        f'{len(outside)} of {len(boxes)} boxes lie outside their images (annotation ids '
        f'{shorten(outside)}). They may be of larger pictures, or y before x. COCO writes [x, y, '
        'width, height], in pixels of the image. Export the file again from these images'
    )


def _lie_in_a_corner(file: CocoFile) -> str:
    """Return a message if all boxes are in the upper left quarter, as those of smaller images."""
    shown = set()
    for box in file.boxes:
        image = file.images.get(box['image_id'])
        if image is None:
            continue
        x, y, width, height = box['bbox']
        if x + width > QUARTER * image['width'] or y + height > QUARTER * image['height']:
            return ''
        shown.add(box['image_id'])
    if len(shown) < FEWEST_IMAGES:
        return ''
    return (
        f'all {len(file.boxes)} boxes of {len(shown)} images lie in their upper left quarter. They '
        'may be of smaller pictures, or percents of the width and height. COCO writes pixels of '
        'the image. Look at some with tnt browse'
    )


def has_area_of_corners(bbox: list[float], area: Any) -> bool:
    """Return whether an area is that of ``x1, y1, x2, y2``, and not of ``x, y, width, height``."""
    x, y, third, fourth = bbox
    inner = (third - x) * (fourth - y)
    return (
        is_finite(area)
        and x < third
        and abs(inner - area) < 0.01 * area
        and area < 0.9 * third * fourth
    )


def _fits_masks(file: CocoFile, *, as_corners: bool = False) -> float:
    """Return the share of the boxes that fit their masks, of some with a mask; 1 without masks."""
    masked = [box for box in file.boxes if box.get('segmentation') and not box.get('iscrowd')]
    fitting = []
    for box in masked[:: -(-len(masked) // COMPARED) or 1]:
        inner = box_of_mask(box['segmentation'])
        if inner is None:
            continue
        x, y, width, height = box['bbox']
        if as_corners:
            width, height = width - x, height - y
        left, top = max(x, inner[0]), max(y, inner[1])
        right = min(x + width, inner[0] + inner[2])
        bottom = min(y + height, inner[1] + inner[3])
        both = max(right - left, 0) * max(bottom - top, 0)
        fitting.append(both > 0.5 * (width * height + inner[2] * inner[3] - both))
    return sum(fitting) / len(fitting) if len(fitting) > 3 else 1.0


def find_masks_elsewhere(file: CocoFile, *, reads_masks: bool) -> list[Finding]:
    """Return what is said about masks that do not fit their boxes.

    Args:
        file: The annotations.
        reads_masks: Whether masks are learned, not only boxes.
    """
    if (share := _fits_masks(file)) >= 0.5:
        return []
    text = (
        f'only {share:.0%} of the boxes that were looked at fit their masks: the area of the two '
        'in common is less than half of their whole area. The masks may be in another form, such '
        'as shares of the image, y before x, or run lengths along rows. COCO writes pixels, x '
        'before y, and run lengths along columns. Or the boxes are wrong. Correct them'
    )
    kind = 'masks in another form' if reads_masks else 'boxes elsewhere than their masks'
    return [Finding(kind, file.path, text)]


def find_for_outlines(file: CocoFile) -> list[Finding]:
    """Return what would be wrong with label maps that are drawn from the masks of a file."""
    findings = []
    if shifted := _looks_shifted(file):
        findings.append(Finding('classes do not match', file.path, shifted))
    listed = {category['id'] for category in file.categories}
    if other := [box['id'] for box in file.boxes if box['category_id'] not in listed]:
        text = f'{len(other)} objects are of no listed category (annotation ids {shorten(other)})'
        findings.append(Finding('box of a category that is not listed', file.path, text))
    if _are_all_crowds(file):
        text = f'no object has pixels to learn. {ONLY_CROWDS.format(len(file.boxes))}'
        findings.append(Finding('no box to train on', file.path, text))
    if not _looks_like_corners(file):  # then the boxes are wrong, which are not read
        findings += find_masks_elsewhere(file, reads_masks=True)
    return findings


def _are_all_crowds(file: CocoFile) -> bool:
    return bool(file.boxes) and all(box.get('iscrowd') for box in file.boxes)


def _find_in_evaluation(file: CocoFile) -> list[Finding]:
    """Return annotations at which COCO's evaluation fails, or which it counts wrongly."""
    crowdless = [box['id'] for box in file.boxes if 'iscrowd' not in box]
    numberless = [
        box['id']
        for box in file.boxes
        if isinstance(box['id'], bool) or not isinstance(box['id'], int | float) or box['id'] <= 0
    ]
    reasons = []
    if crowdless:
        reasons.append(f'{len(crowdless)} annotations have no iscrowd (ids {shorten(crowdless)})')
    if numberless:
        reasons.append(
            f'{len(numberless)} annotations have an id that is not a number above 0, which stands '
            f'for "none" in the evaluation (ids {shorten(numberless)})'
        )
    findings = [
        Finding(
            'annotation that the evaluation cannot count', file.path, f'{reason}. {HOW_TO_CORRECT}'
        )
        for reason in reasons
    ]
    if file.is_annotated and all(box.get('iscrowd') for box in file.boxes):
        text = (
            f'none of its {len(file.images)} images shows an object that is measured, so all '
            'numbers would be -1, and no checkpoint the best. Add annotations, or use another file'
        )
        if _are_all_crowds(file):
            text += f'. {ONLY_CROWDS.format(len(file.boxes))}'
        findings.append(Finding('no box to measure', file.path, text))
    return findings


def find_in_orders(files: Iterable[tuple['CocoDataset', CocoFile]]) -> list[Finding]:
    """Compare the order of the categories of all data sets of a config.

    Labels follow the order of each file, so a detector that was trained in one order is measured as
    another in the other order.
    """
    orders: dict[tuple[str, ...], str] = {}
    for dataset, file in files:
        classes = set(dataset.metainfo['classes'])
        orders.setdefault(tuple(name for name in file.names if name in classes), file.path)
    if len(orders) < 2:
        return []
    (first, path), (second, other) = list(orders.items())[:2]
    text = (
        f'its categories are {shorten(second, most=20)}, but {path} has {shorten(first, most=20)}. '
        f'MMDetection numbers them in the order of each file. {HOW_TO_CORRECT}'
    )
    return [Finding('files with classes in different orders', other, text)]


def find_in_training(dataset: 'CocoDataset', file: CocoFile) -> list[Finding]:
    """Return what a training would fail on: no box at all, or boxes without their masks."""
    kept, findings = _kept_boxes(dataset, file), _find_too_small(dataset, file)
    if not dataset.test_mode and file.boxes:
        findings += _find_never_trained(dataset, file, kept)
    # a file without a box shows background, beside the files of others
    is_used = bool(file.boxes) if not dataset.test_mode else False
    if (is_used or _drops_empty(dataset)) and all(box.get('iscrowd') for box in kept):
        text = (
            f'none of its {len(file.boxes)} boxes can be trained on: they must have an area within '
            'an image, a category that is a class of the config, and be neither a crowd nor ignored'
        )
        if file.boxes and all(0 <= value <= 1 for box in file.boxes for value in box['bbox']):
            text += (
                '. All their numbers are from 0 to 1, so they seem to be shares of the image. '
                'Multiply them by its width and height: COCO writes pixels'
            )
        if _are_all_crowds(file):
            text += f'. {ONLY_CROWDS.format(len(file.boxes))}'
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
    findings += find_masks_elsewhere(file, reads_masks=reads_masks)
    # the evaluation reads the masks of all boxes
    read = [box for box in (file.boxes if dataset.test_mode else kept) if box.get('segmentation')]
    broken = {
        box['id']: fault
        for box in (read if reads_masks else ())
        if (image := file.images.get(box['image_id']))
        if (fault := find_mask_fault(box['segmentation'], image['height'], image['width']))
    }
    if broken:
        first = next(iter(broken.values()))
        text = (
            f'{len(broken)} of {len(read)} boxes have a "segmentation" that is neither polygons of '
            'at least 3 points, [[x, y, x, y, x, y, ...], ...], nor an RLE of the size of their '
            f'image (annotation ids {shorten(broken)}; of the first one, {first}). Correct or '
            'remove them'
        )
        findings.append(Finding('box with a mask that cannot be read', file.path, text))
    return findings


def _find_too_small(dataset: 'CocoDataset', file: CocoFile) -> list[Finding]:
    """Return the images that ``CocoDataset.filter_data`` leaves out because of their size."""
    least = (dataset.filter_cfg or {}).get('min_size', 0)
    if dataset.test_mode or not least:
        return []
    small = [
        image['file_name']
        for image in file.images.values()
        if min(image['width'], image['height']) < least
    ]
    if not small:
        return []
    text = (
        f'{len(small)} of {len(file.images)} images have a side under filter_cfg.min_size={least} '
        f'pixels, left out of training ({shorten(small)}). Set filter_cfg=dict(min_size=1) in the '
        'data set to train on them'
    )
    kind = 'no image to train on' if len(small) == len(file.images) else 'image that is too small'
    return [Finding(kind, file.path, text)]


def _find_never_trained(dataset: 'CocoDataset', file: CocoFile, kept: list[Entry]) -> list[Finding]:
    names = {category['id']: category['name'] for category in file.categories}
    given = Counter(names.get(box['category_id']) for box in file.boxes)
    trained = {names[box['category_id']] for box in kept if not box.get('iscrowd')}
    findings = []
    dropped = [name for name in dataset.metainfo['classes'] if given[name] and name not in trained]
    if dropped and trained:
        text = (
            f'none of the boxes of {shorten([f"{name} ({given[name]})" for name in dropped])} is '
            'trained on: they are crowds (iscrowd=1), have no area, or lie outside their images. '
            f'Correct them, or leave the classes out. {SINGLE_OBJECTS}'
        )
        findings.append(Finding('class that is never trained', file.path, text))
    crowds = Counter(names.get(box['category_id']) for box in file.boxes if box.get('iscrowd'))
    many = [name for name in trained if crowds[name] >= CROWDS * given[name]]
    if many:
        listed = shorten([f'{name}: {crowds[name]} of {given[name]}' for name in sorted(many)])
        text = (
            f'many boxes are marked as crowds (iscrowd=1), which are not learned as objects '
            f'({listed}). {SINGLE_OBJECTS}'
        )
        findings.append(Finding('objects marked as crowds', file.path, text))
    absent = [name for name in dataset.metainfo['classes'] if not given[name]]
    if absent:
        text = f'no box of {len(absent)} of the classes: {shorten(absent)}. They are not learned'
        findings.append(Finding('category without a box', file.path, text))
    return findings


def _find_in_names(dataset: 'CocoDataset', numbered: list[str], path: str) -> Finding:
    """Return that classes are exchanged: labels follow the file, and their names the config.

    Args:
        dataset: With the classes in another order.
        numbered: The classes in the order of the file.
        path: The file.
    """
    from mmdet.datasets import CocoDataset

    classes = dataset.metainfo['classes']
    called, meant = next(pair for pair in zip(classes, numbered, strict=True) if len({*pair}) > 1)
    text = (
        'the classes of the config stand in another order than the categories of the file. Labels '
        f'follow the file, and their names the config: predictions would call {meant!r} {called!r}.'
        f' Write metainfo=dict(classes=...) of each dataset in the order of the file: '
        f'{shorten(numbered, most=100)}. If the files have different orders: {HOW_TO_CORRECT}'
    )
    # a class that reads the file in its own way may number them as the config does
    is_sure = type(dataset).load_data_list is CocoDataset.load_data_list
    kind = 'classes do not match' if is_sure else 'classes in another order'
    return Finding(kind, path, text)


def find_in_classes(dataset: 'CocoDataset', file: CocoFile) -> list[Finding]:
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
    numbered = [name for name in names if name in classes]
    if list(classes) != numbered:
        findings.append(_find_in_names(dataset, numbered, file.path))
    if unused := [name for name in names if name not in classes]:
        text = (
            'categories that are no classes of the config, left out: '
            f'{len(unused)} ({shorten(unused)})'
        )
        findings.append(Finding('category that is no class', file.path, text))
    return findings


def _find_left_out(dataset: 'CocoDataset', file: CocoFile) -> list[Finding]:
    """Return the boxes and images that MMDetection leaves out."""
    categories = {category['id'] for category in file.categories}
    flat = [box['id'] for box in file.boxes if _is_flat(box, file.images.get(box['image_id']))]
    unlisted = [box['id'] for box in file.boxes if box['category_id'] not in categories]
    empty = _empty_images(file)
    leaving = [box['id'] for box in file.boxes if _leaves(box, file.images.get(box['image_id']))]
    size = f'{len(file.images)} images, {len(file.boxes)} boxes; '
    findings = []
    if flat:
        text = (
            f'boxes with no area in the image or a side under 1 pixel, left out: {len(flat)} '
            f'(annotation ids {shorten(flat)})'
        )
        findings.append(Finding('box without area', file.path, size + text))
    if ignored := [box['id'] for box in file.boxes if box.get('ignore')]:
        text = f'boxes with ignore=1, left out: {len(ignored)} (annotation ids {shorten(ignored)})'
        findings.append(Finding('objects marked to be ignored', file.path, size + text))
    if len(leaving) > max(1, LEAVING * len(file.boxes)):
        text = (
            f'{len(leaving)} boxes leave their images by a tenth of their area or more (annotation '
            f'ids {shorten(leaving)}). MMDetection cuts them off. If they should not, the numbers '
            'are of another form than [x, y, width, height]: look at some with tnt browse'
        )
        findings.append(Finding('box reaches over the edge', file.path, size + text))
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


def _drops_empty(dataset: 'CocoDataset') -> bool:
    return not dataset.test_mode and (dataset.filter_cfg or {}).get('filter_empty_gt', False)


def _empty_images(file: CocoFile) -> list[str]:
    boxes_of = Counter(box['image_id'] for box in file.boxes)
    return [image['file_name'] for key, image in file.images.items() if not boxes_of[key]]


def _kept_boxes(dataset: 'CocoDataset', file: CocoFile) -> list[Entry]:
    """Return what ``CocoDataset.parse_data_info`` makes instances of."""
    classes = set(dataset.metainfo['classes'])  # once: metainfo makes a copy each time
    trained = {category['id'] for category in file.categories if category['name'] in classes}
    return [
        box
        for box in file.boxes
        if box['image_id'] in file.images
        and box['category_id'] in trained
        and not box.get('ignore')
        and not _is_flat(box, file.images[box['image_id']])
    ]


def _is_flat(box: Entry, image: dict[str, Any] | None) -> bool:
    """Return whether ``CocoDataset.parse_data_info`` leaves a box out."""
    if image is None:
        return False
    x, y, width, height = box['bbox']
    inside_width = min(x + width, image['width']) - max(x, 0)
    inside_height = min(y + height, image['height']) - max(y, 0)
    return box['area'] <= 0 or width < 1 or height < 1 or inside_width <= 0 or inside_height <= 0


def _leaves(box: Entry, image: dict[str, Any] | None) -> bool:
    """Return whether a tenth of a box lies outside its image."""
    x, y, width, height = box['bbox']
    if image is None or _is_flat(box, image):
        return False
    inside_width = min(x + width, image['width']) - max(x, 0)
    inside_height = min(y + height, image['height']) - max(y, 0)
    return max(inside_width, 0) * max(inside_height, 0) < 0.9 * width * height


def _check_images(folder: str, names: list[str], ann_file: str) -> None:
    """Check that the images exist; listing each folder once is faster than 118287 questions."""
    there: set[Path] = set()
    for parent in {Path(folder, name).parent for name in names}:
        if os.path.isdir(parent):
            there.update(Path(entry.path) for entry in os.scandir(parent) if entry.is_file())
    missing = [name for name in names if Path(folder, name) not in there]
    if missing:
        raise MissingFileError(
            f'{len(missing)} of {len(names)} images of {ann_file} are not in {folder}: '
            f'{shorten(missing)}. '
            + (f'Their names have backslashes. {HOW_TO_CORRECT}' if '\\' in missing[0] else ADVICE)
            + hint_of_accents(missing, (path.name for path in there))
        )
