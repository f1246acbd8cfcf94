"""A user's own images and label maps, put into a config of MMSegmentation.

::

    DIR/images/train/a.jpg    DIR/labels/train/a.png     pixels: 0, 1, ... = class, 255 = ignored
    DIR/images/val/b.jpg      DIR/labels/val/b.png
    DIR/classes.txt                                      one name a line: class 0, class 1, ...

``IMAGES``, ``LABELS`` and ``SPLITS`` list the other names that are understood.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from PIL import Image
from tqdm import tqdm

from ..data_checks.findings import Finding, notes_unless_error, shorten
from ..data_checks.label_maps import (
    HOW_TO_RELABEL,
    IGNORED,
    Pairs,
    check_size,
    find_in_labels,
    find_other_colours,
    labels_in,
    pair,
)
from ..errors import InputError, MissingFileError
from .data_folder import read_text
from .rare_classes import describe_rare
from .shared import dicts, evaluators, finish, leaf_dataset, set_class_count

IMAGES = ('images', 'img_dir', 'JPEGImages')
LABELS = ('labels', 'masks', 'annotations', 'ann_dir', 'SegmentationClassPNG', 'SegmentationClass')
# What each phase reads: the first that is there. Roboflow calls the validation split "valid".
VAL = ('val', 'validation', 'valid')
SPLITS = {'train': ('train', 'training'), 'val': (*VAL, 'test')}
LAYOUT = (
    'What is wanted: DIR/images/{train,val} and DIR/labels/{train,val} with label maps of the same '
    'names as .png, and the names of the classes in DIR/classes.txt (docs/tutorial.md)'
)


def set_mask_data(
    cfg: Config, root: Path, new_labels: Mapping[int, int] | None = None
) -> list[str]:
    """Let a config of MMSegmentation read other images and label maps, in place.

    Args:
        cfg: A whole config.
        root: The folder; its layout is that of this file's head.
        new_labels: Labels in the files to labels to train on, such as ``{255: 1}``.

    Returns:
        What was changed, one line per change.

    Raises:
        FileNotFoundError: If a folder, or the label map of an image, is not there.
        ValueError: If the label maps are not what MMSegmentation reads as classes.
    """
    new_labels = dict(new_labels or {})
    images, labels = _folder(root, IMAGES), _folder(root, LABELS)
    folders = {
        phase: (_folder(images, names), _folder(labels, names)) for phase, names in SPLITS.items()
    }
    # many test splits have no label maps
    test = images / 'test', labels / 'test'
    folders['test'] = test if all(folder.is_dir() for folder in test) else folders['val']
    pairs = {place: pair(*place) for place in dict.fromkeys(folders.values())}
    endings = {(found.image_suffix, found.label_suffix) for found in pairs.values()}
    if len(endings) != 1:
        raise InputError(
            f'The splits of {root} end in several ways, {sorted(endings)} (images, label maps). '
            'Use the same endings in all'
        )
    sys.stdout.write(f'label maps of {root}:\n')
    used = {place: _used_labels(found, new_labels) for place, found in pairs.items()}
    trained = folders['train']
    classes, notes = _class_names(root, used[trained])
    findings: list[Finding] = []
    for place, files in used.items():
        findings += find_in_labels(files, classes, str(place[1]), is_training=place == trained)
        if not new_labels:
            findings += find_other_colours(files, str(place[1]))
    notes += notes_unless_error(findings)
    shown = {name: len(used[trained].get(i, ())) for i, name in enumerate(classes)}
    notes += describe_rare(shown, len(pairs[trained].images))
    palette = _palette(pairs[trained].labels[0], len(classes)) if not new_labels else []

    ((image_suffix, label_suffix),) = endings
    metainfo: dict[str, Any] = {'classes': classes}
    if palette:
        metainfo['palette'] = palette
    changes = [f'classes: {len(classes)} ({shorten(classes)})', *set_class_count(cfg, len(classes))]
    for phase, (image_folder, label_folder) in folders.items():
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
        number = len(pairs[image_folder, label_folder].images)
        changes.append(f'{phase}: {number} images in {image_folder}, labels in {label_folder}')
        measures = evaluators(cfg, phase)
        if phase != 'train' and [measure['type'] for measure in measures] != ['IoUMetric']:
            cfg[f'{phase}_evaluator'] = {'type': 'IoUMetric', 'iou_metrics': ['mIoU']}
    _set_labels(cfg, new_labels)
    if new_labels:
        changes.append(
            'labels: ' + ', '.join(f'{old} -> {new}' for old, new in sorted(new_labels.items()))
        )
    changes.append(f'label 0 is {classes[0]!r}; {IGNORED} is ignored')
    return [*changes, *notes, *finish(cfg, best='mIoU')]


def _folder(parent: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (parent / name).is_dir():
            return parent / name
    raise MissingFileError(f'{parent} has no folder {" or ".join(names[:3])}. {LAYOUT}')


def _used_labels(pairs: Pairs, new_labels: Mapping[int, int]) -> dict[int, list[str]]:
    """Read all label maps; return which ones hold each label, as it is trained on."""
    files: dict[int, list[str]] = {}
    for image, path in tqdm(
        zip(pairs.images, pairs.labels, strict=True), total=len(pairs.images), disable=None
    ):
        check_size(image, path)
        for label in labels_in(path):
            files.setdefault(new_labels.get(label, label), []).append(str(path))
    return files


def _class_names(root: Path, files: Mapping[int, list[str]]) -> tuple[tuple[str, ...], list[str]]:
    """Return the names in classes.txt, else numbers of the labels; and notes."""
    used = set(files) - {IGNORED}
    listed = root / 'classes.txt'
    notes = []
    if not used:
        raise InputError(
            f'The label maps hold nothing but {IGNORED}, which is ignored. {HOW_TO_RELABEL}'
        )
    if listed.is_file():
        lines = read_text(listed).splitlines()
        names = tuple(filter(None, map(str.strip, lines)))
        numbered = [re.fullmatch(r'(\d+)\s*[:;,.\t]\s*(.+)', name) for name in names]
        matches = [match for match in numbered if match]
        if len(matches) == len(names) and [int(m[1]) for m in matches] == list(range(len(names))):
            names = tuple(match[2] for match in matches)
            notes.append(f'{listed}: the numbers before the names were left out')
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f'{listed} names {shorten(twice)} twice. Give each class its own name')
        if max(used) >= len(names):
            raise InputError(
                f'{listed} names {len(names)} classes, labels 0 to {len(names) - 1}, but the label '
                f'maps have {max(used)} too ({shorten(files[max(used)])}). The first line names '
                f'label 0, such as background; pixels of no class are {IGNORED}. {HOW_TO_RELABEL}'
            )
    else:
        names = tuple(f'class {label}' for label in range(max(used) + 1))
        if absent := sorted(set(range(max(used))) - used):
            raise InputError(
                f'The label maps hold {shorten(sorted(used), 8)}, but no {shorten(absent)}. Name '
                f'all classes, one per line, in {listed}. {HOW_TO_RELABEL}'
            )
    if len(names) < 2:
        raise InputError(
            f'The label maps know one class, {names[0]!r}, so there is nothing to tell apart. '
            f'Write 0 for the background and 1 for the class; {IGNORED} is ignored. '
            f'{HOW_TO_RELABEL}'
        )
    return names, notes


def _palette(path: Path, number: int) -> list[list[int]]:
    """Return the colours of a label map with a palette, one per class, or nothing."""
    with Image.open(path) as image:
        colours = (image.getpalette() or []) if image.mode == 'P' else []
    if len(colours) < 3 * number:
        return []
    return [colours[3 * i : 3 * i + 3] for i in range(number)]


def _set_labels(cfg: Config, new_labels: Mapping[int, int]) -> None:
    """Let all pipelines read 0 as a class, and give labels their new numbers."""
    parts = [cfg[key] for key in cfg if key.endswith(('_dataloader', '_pipeline'))]
    for node in dicts(parts):
        if _loads_labels(node):
            # The data set tells the pipelines that 0 is a class; this would contradict it.
            node.pop('reduce_zero_label', None)
    if new_labels:
        _insert_behind(parts, {'type': 'RelabelPixels', 'new_labels': sorted(new_labels.items())})


def _loads_labels(node: Any) -> bool:
    kind = node.get('type') if isinstance(node, dict) else None
    return str(kind).rpartition('.')[2] == 'LoadAnnotations'


def _insert_behind(node: Any, change: dict[str, Any]) -> None:
    """Insert a transform behind each ``LoadAnnotations``, and a stage of ``TestTimeAug`` too."""
    if isinstance(node, dict):
        for value in node.values():
            _insert_behind(value, change)
    elif isinstance(node, list):
        for number in reversed(range(len(node))):
            part = node[number]
            if _loads_labels(part) and change not in node:
                node.insert(number + 1, dict(change))
            elif isinstance(part, list) and any(map(_loads_labels, part)):
                node.insert(number + 1, [dict(change)])
            else:
                _insert_behind(part, change)
