"""Find what is wrong with the files of a data set, one by one: images, boxes, masks, labels.

``preflight.py`` looks at what takes seconds before each run. This opens every file, once, for
``tools/check_data.py``.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import list_from_file

from ..datasets.load_image import LoadImageOrSkip
from ..errors import InputError
from .findings import Finding
from .image_headers import find_unusual, read_header

SEEN = 'label that a map holds'  # for the conclusion; never reported
BOX_BY_BOX = (
    'box without area',
    'box of a category that is not listed',
    'image without annotation',
)


class Check(NamedTuple):
    """What to look at in one data set.

    Attributes:
        items: One a file; they can be sent to other processes.
        look: Item to findings.
        found: What was found before any file was opened.
        conclude: What was found in all files to what is reported.
    """

    items: list[dict[str, Any]]
    look: Callable[[dict[str, Any]], list[Finding]]
    found: list[Finding]
    conclude: Callable[[list[Finding]], list[Finding]] = list


def plan_check(dataset: BaseDataset, *, is_training: bool = True) -> Check:
    """Decide how to look at a data set.

    Args:
        dataset: Built with ``lazy_init=True``: COCO's or Pascal VOC's, one of MMSegmentation with
            masks, or one of MMPretrain with one label an image.
        is_training: Whether it is trained on.

    Raises:
        ValueError: If it is of another format, or its annotations cannot be read.
    """
    library = {ancestor.__module__.split('.')[0] for ancestor in type(dataset).__mro__}
    if 'mmdet' in library:
        from mmdet.datasets import XMLDataset

        # subclasses with a list of another form have a reader of their own
        if getattr(type(dataset), 'load_data_list', None) is XMLDataset.load_data_list:
            return _plan_voc(dataset)
        return _plan_coco(dataset)
    if 'mmseg' in library:
        return _plan_masks(dataset, is_training)
    if 'mmpretrain' in library:
        return _plan_classification(dataset, is_training)
    raise InputError(f'{type(dataset).__name__} is no data set whose format is known here')


def _infos(dataset: BaseDataset) -> list[dict[str, Any]]:
    """Return all entries, before any pipeline."""
    dataset.full_init()
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def _read_image(path: str) -> tuple[np.ndarray | None, list[Finding]]:
    try:
        return LoadImageOrSkip().read(path), _look_at_header(path)
    except (OSError, ValueError, SyntaxError) as error:  # the last is Pillow's for a broken PNG
        return None, [Finding('image cannot be read', path, str(error))]


def _look_at_header(path: str) -> list[Finding]:
    """Return what the header says that the pixels do not show."""
    header = read_header(path)
    if header is None:
        return []  # OpenCV could read it
    findings = []
    if header.turn != 1:
        text = (
            f'EXIF turns it (orientation {header.turn}), and the libraries read it turned. Boxes '
            'and masks must fit the turned picture'
        )
        findings.append(Finding('image that is turned by EXIF', path, text))
    return [*findings, *find_unusual({Path(path).name: header}, path)]


# ------------------------------------------------------------------ COCO


def _plan_coco(dataset: BaseDataset) -> Check:
    from .coco import find_in_annotations, is_plain_coco, read_file

    if not is_plain_coco(dataset):
        raise InputError(
            f'{type(dataset).__name__} is of another format than the boxes of COCO and Pascal VOC, '
            'which are known here'
        )
    file = read_file(dataset)
    # the others are found again below, box by box
    found = [f for f in find_in_annotations(dataset, file) if f.kind not in BOX_BY_BOX]
    categories = {category['id'] for category in file.categories}
    items: dict[Any, dict[str, Any]] = {
        key: {
            'path': str(Path(dataset.data_prefix['img'], image['file_name'])),
            'size': (image['height'], image['width']),
            'categories': categories,
            'boxes': [],
        }
        for key, image in file.images.items()
    }
    for box in file.boxes:
        if box['image_id'] in items:
            items[box['image_id']]['boxes'].append((box['id'], box['category_id'], box['bbox']))
    return Check(list(items.values()), _look_at_boxes, found)


def _look_at_boxes(item: dict[str, Any]) -> list[Finding]:
    path = item['path']
    image, problems = _read_image(path)
    size = item['size'] or (image.shape[:2] if image is not None else None)
    if size is None:
        return problems
    height, width = size
    if image is not None and image.shape[:2] != (height, width):
        text = f'{image.shape[0]}x{image.shape[1]}, not {height}x{width}'
        if image.shape[:2] == (width, height):
            text += '. Height and width are exchanged, as by a tool that did not look at EXIF'
        problems.append(Finding('image has another size than the annotations say', path, text))
    if not item['boxes']:
        problems.append(Finding('image without annotation', path, ''))
    for key, category, (x, y, w, h) in item['boxes']:
        place, text = f'{path}, annotation {key}', f'{[x, y, w, h]} in {height}x{width}'
        if category not in item['categories']:
            kind = 'box of a category that is not listed'
            problems.append(Finding(kind, place, f'category {category}'))
        if w <= 0 or h <= 0:
            problems.append(Finding('box without area', place, text))
        elif x >= width or y >= height or x + w <= 0 or y + h <= 0:
            problems.append(Finding('box outside its image', place, text))
        elif x < 0 or y < 0 or x + w > width + 1 or y + h > height + 1:  # rounded to pixels
            problems.append(Finding('box reaches over the edge', place, text))
    return problems


def _plan_voc(dataset: Any) -> Check:
    """A list of names, and an XML file for each; what ``XMLDataset`` reads of it."""
    root, classes = Path(dataset.sub_data_root), dataset.metainfo['classes']
    names: Counter[str] = Counter()
    items, found = [], []
    for name in list_from_file(dataset.ann_file):
        path = root / dataset.ann_subdir / f'{name}.xml'
        try:
            size, boxes = _read_xml(path)
        except (OSError, ElementTree.ParseError, ValueError, OverflowError, LookupError) as error:
            found.append(Finding('annotations cannot be read', str(path), str(error)))
            continue
        names.update(category for _, category, _ in boxes)
        items.append(
            {
                'path': str(root / dataset.img_subdir / f'{name}.jpg'),
                'size': size,
                'categories': classes,
                'boxes': [box for box in boxes if box[1] in classes],
            }
        )
    other = [name for name in names if name not in classes]
    found += [
        Finding('box of no class', dataset.ann_file, f'{names[name]} of {name!r}') for name in other
    ]
    absent = [name for name in classes if name not in names]
    if other and absent and not dataset.test_mode:
        text = f'no box of {", ".join(absent)}, but boxes of {", ".join(other)}'
        found.append(Finding('classes do not match', dataset.ann_file, text))
    drops_empty = not dataset.test_mode and (dataset.filter_cfg or {}).get('filter_empty_gt', False)
    if drops_empty and len(absent) == len(classes):
        found.append(Finding('no box to train on', dataset.ann_file, ''))
    return Check(items, _look_at_boxes, found)


def _read_xml(path: Path) -> tuple[tuple[int, int] | None, list[tuple[int, str, list[int]]]]:
    """Height and width if they are given, and number, class and ``[x, y, w, h]`` of the boxes."""
    root = ElementTree.parse(path).getroot()
    size, boxes = root.find('size'), []
    for i, box in enumerate(root.findall('object')):
        left, top, right, bottom = (
            int(float(_xml_text(box, f'bndbox/{key}'))) - 1  # VOC counts pixels from 1
            for key in ('xmin', 'ymin', 'xmax', 'ymax')
        )
        boxes.append((i, _xml_text(box, 'name'), [left, top, right - left, bottom - top]))
    if size is None:
        return None, boxes
    return (int(_xml_text(size, 'height')), int(_xml_text(size, 'width'))), boxes


def _xml_text(node: ElementTree.Element, path: str) -> str:
    text = node.findtext(path)
    if text is None:
        raise InputError(f'<{node.tag}> has no {path}')
    return text


# ------------------------------------------------------------------ masks


def _plan_masks(dataset: Any, is_training: bool) -> Check:
    from .label_maps import find_in_labels, relabelled

    classes = dataset.metainfo['classes']
    items = [
        {
            'path': info['img_path'],
            'mask': info.get('seg_map_path'),
            'num_classes': len(classes),
            'reduce_zero_label': dataset.reduce_zero_label,
            'new_labels': {
                label: relabelled(label, dataset)
                for label in range(256)
                if relabelled(label, dataset) != label
            },
        }
        for info in _infos(dataset)
    ]

    def conclude(found: list[Finding]) -> list[Finding]:
        files: dict[int, list[str]] = {}
        for finding in found:
            if finding.kind == SEEN:
                files.setdefault(int(finding.text), []).append(finding.file)
        place = str(dataset.data_prefix.get('seg_map_path'))
        # classes may be missing in a subset; labels out of range are reported file by file
        compared = find_in_labels(files, classes, place, is_training=is_training)
        kept = [finding for finding in found if finding.kind != SEEN]
        is_whole = not dataset._indices
        return kept + [f for f in compared if is_whole and f.kind != 'label out of range']

    return Check(items, _look_at_mask, [], conclude)


def _look_at_mask(item: dict[str, Any]) -> list[Finding]:
    from .label_maps import IGNORED, read_label_map

    image, problems = _read_image(item['path'])
    path = item['mask']
    if path is None:
        return [*problems, Finding('image without annotation', item['path'], '')]
    try:
        mask = read_label_map(path)
    except ValueError as error:
        return [*problems, Finding('mask cannot be read', path, str(error))]
    if image is not None and mask.shape != image.shape[:2]:
        text = f'{mask.shape[0]}x{mask.shape[1]}, not {image.shape[0]}x{image.shape[1]}'
        problems.append(Finding('mask has another size than its image', path, text))
    values = {int(value) for value in np.unique(mask)}
    values = {item['new_labels'].get(value, value) for value in values}
    if item['reduce_zero_label']:  # 0 is ignored, and 1 is the first class
        values = {IGNORED if value in (0, IGNORED) else value - 1 for value in values}
    problems += [Finding(SEEN, path, str(value)) for value in sorted(values)]
    values -= {IGNORED}
    if wrong := sorted(value for value in values if value >= item['num_classes']):
        text = f'{wrong[:5]} of classes 0 to {item["num_classes"] - 1}'
        problems.append(Finding('label out of range', path, text))
    if not values:
        problems.append(Finding('mask without a label', path, ''))
    return problems


# ------------------------------------------------------------------ one label an image


def _plan_classification(dataset: Any, is_training: bool) -> Check:
    from .class_folders import check_class_folders

    found = []
    root = str(next(iter(dataset.data_prefix.values()), dataset.data_root))
    try:
        check_class_folders(dataset)
    except ValueError as error:
        found.append(Finding('classes do not match', root, str(error)))
        return Check([], _look_at_label, found)  # its labels cannot be made
    infos = _infos(dataset)
    classes = dataset.CLASSES or ()
    labels = [info.get('gt_label') for info in infos]
    absent = sorted(set(range(len(classes))) - {label for label in labels if label is not None})
    if any(label is not None for label in labels):
        kind = 'class without images' if is_training else 'class without images to measure'
        found += [Finding(kind, root, f'{i}: {classes[i]}') for i in absent]
    names = dict(enumerate(classes))
    items = [
        {
            # CIFAR and its like hold their images themselves
            'path': info.get('img_path', f'{root}, image {i}'),
            'is_file': 'img_path' in info,
            'label': label,
            'num_classes': len(classes),
            'class': '' if label is None else names.get(label, str(label)),
        }
        for i, (info, label) in enumerate(zip(infos, labels, strict=True))
    ]
    first: dict[str, str] = {}
    for item in items:
        path, name = item['path'], item['class']
        if (other := first.setdefault(path, name)) != name:
            text = f'listed as {other} and as {name}. One label is wrong'
            found.append(Finding('equal images of different classes', path, text))
    return Check(items, _look_at_label, found)


def _look_at_label(item: dict[str, Any]) -> list[Finding]:
    problems = _read_image(item['path'])[1] if item['is_file'] else []
    label, number = item['label'], item['num_classes']
    if label is not None and number and not 0 <= label < number:
        text = f'{label} of classes 0 to {number - 1}'
        problems.append(Finding('label out of range', item['path'], text))
    return problems
