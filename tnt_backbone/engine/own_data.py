"""A user's own data in COCO's format, put into a config: classes, paths, and the heads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

CLASS_COUNTS = ('num_classes', 'num_things_classes')


def set_coco_data(
    cfg: Config, train: Path, val: Path | None = None, images: Path | None = None
) -> list[str]:
    """Let a config of MMDetection read other annotations, in place.

    Args:
        cfg: A whole config.
        train: A JSON file in COCO's format.
        val: Likewise, to evaluate on; by default ``train`` again.
        images: Folder of the images of both; by default looked for beside the files.

    Returns:
        What was changed, a line each.

    Raises:
        ValueError: If the config is no detector's with data in COCO's format, or the two files have
            other categories.
        FileNotFoundError: If a file, or the folder of its images, is not there.
    """
    if cfg.get('default_scope') != 'mmdet':
        raise ValueError('--data FILE.json is for configs of MMDetection')
    classes = _categories(train)
    if val is not None and _categories(val) != classes:
        raise ValueError(
            f'{val} has the categories {_categories(val)}, but {train} has {classes}: give both '
            'the same, in the same order'
        )
    changes = [f'classes: {len(classes)} of {train}']
    for phase, file in (('train', train), ('val', val or train), ('test', val or train)):
        folder = images or _find_images(file)
        leaf = _leaf(cfg[f'{phase}_dataloader']['dataset'])
        leaf.update(
            type='CocoDataset',
            data_root='',
            ann_file=str(file),
            data_prefix={'img': f'{folder}/'},
            metainfo={'classes': tuple(classes)},
        )
        evaluator = cfg.get(f'{phase}_evaluator')
        for part in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
            if part and 'ann_file' in part:
                part['ann_file'] = str(file)
        changes.append(f'{phase}: {file}, images in {folder}')
    if val is None:
        changes.append('evaluation is on the training images: give --val-data to know better')
    for node in _with_class_counts(cfg.model):
        for key in CLASS_COUNTS:
            if key in node:
                node[key] = len(classes)
    changes.append(f'num_classes of the heads: {len(classes)}')
    return changes


def _categories(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f'--data {path}: no such file')
    try:
        content = json.loads(path.read_text())
        return [category['name'] for category in content['categories']]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} is not in COCO format ({type(error).__name__}: {error}): docs/datasets.md'
        ) from error


def _find_images(path: Path) -> Path:
    """The folder in which the first image of a file lies."""
    listed = json.loads(path.read_text()).get('images') or []
    if not listed:
        raise ValueError(f'{path} lists no images')
    name = listed[0]['file_name']
    roots = (path.parent, path.parent.parent)
    for root in roots:
        for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
            if (folder / name).is_file():
                return folder
    raise FileNotFoundError(
        f'{name}, the first image of {path}, is not beside it: give the folder by --images'
    )


def _leaf(dataset: dict[str, Any]) -> dict[str, Any]:
    """Take wrappers off; several data sets become the first."""
    while True:
        inner = dataset.get('dataset') or (dataset.get('datasets') or [None])[0]
        if inner is None:
            return dataset
        dataset = inner


def _with_class_counts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if any(key in node for key in CLASS_COUNTS):
            yield node
        for value in list(node.values()):
            yield from _with_class_counts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _with_class_counts(value)
