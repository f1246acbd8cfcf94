"""A user's own data in COCO's format, put into a config: classes, paths, and the heads.

What the other formats share with it is here too (``own_masks.py``, ``own_class_folders.py``).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..data_checks.coco import find_in_training, read_file
from ..data_checks.coco_file import CocoFile, read_coco
from ..data_checks.datasets import build_leaf_datasets
from ..data_checks.findings import notes_unless_error

PHASES = ('train', 'val', 'test')
CLASS_COUNTS = ('num_classes', 'num_things_classes')
# What stock configs keep beside what they pass on. In the file that is written it would stand there
# with the stock's values, and changing it would change nothing.
LEFT_OVER = ('data_root', 'dataset_type', 'metainfo', 'classes', 'train_pipeline', 'val_pipeline')


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
    files = {path: _read(path) for path in (train, val) if path}
    classes = files[train].names
    if val is not None and files[val].names != classes:
        raise ValueError(
            f'{val} has the categories {files[val].names}, but {train} has {classes}: give both '
            'the same, in the same order'
        )
    _require_coco(cfg)
    changes = [f'classes: {len(classes)} of {train}', *set_class_count(cfg, len(classes))]
    for phase, file in (('train', train), ('val', val or train), ('test', val or train)):
        folder = images or _find_images(files[file])
        leaf = leaf_dataset(cfg, phase)
        leaf.update(
            type='CocoDataset',
            data_root='',
            ann_file=str(file),
            data_prefix={'img': f'{folder}/'},
            metainfo={'classes': tuple(classes)},
        )
        for evaluator in evaluators(cfg, phase):
            if 'ann_file' in evaluator:
                evaluator['ann_file'] = str(file)
        changes.append(f'{phase}: {file}, images in {folder}')
    for leaves in build_leaf_datasets(cfg, PHASES).values():
        for dataset in leaves:
            notes_unless_error(find_in_training(dataset, read_file(dataset)))
    if val is None:
        changes.append(
            'evaluation is on the training images: give --val-data or --val-share to know better'
        )
    return [*changes, *finish(cfg, best='auto')]


def split_coco(path: Path, share: float, *, overwrite: bool = False) -> tuple[Path, Path]:
    """Part a file in COCO's format into one to train on and one to evaluate on, beside it.

    Args:
        path: The JSON file.
        share: Of the images that are kept for the evaluation, between 0 and 1; drawn at random,
            the same ones each time.
        overwrite: Whether files of the two names are replaced.

    Returns:
        ``NAME_train.json`` and ``NAME_val.json``.

    Raises:
        ValueError: If a part would be empty.
        FileExistsError: If there are files of the two names.
    """
    content = _read(path).content
    images = content['images']
    number = round(share * len(images))
    if not 0 < number < len(images):
        raise ValueError(
            f'--val-share {share:g} of the {len(images)} images of {path} is {number}: both parts '
            'need one, so take a share such as 0.2'
        )
    chosen = np.random.default_rng(0).permutation(len(images))[:number].tolist()
    held_out = {images[i]['id'] for i in chosen}
    parts = path.with_name(f'{path.stem}_train.json'), path.with_name(f'{path.stem}_val.json')
    for part, wanted in zip(parts, (False, True), strict=True):
        if part.exists() and not overwrite:
            raise FileExistsError(
                f'{part} exists: give it by --data and --val-data, or --force to write it again'
            )
        lists = {
            section: [
                entry for entry in content.get(section, []) if (entry[key] in held_out) == wanted
            ]
            for section, key in (('images', 'id'), ('annotations', 'image_id'))
        }
        part.write_text(json.dumps(content | lists))
    return parts


def _require_coco(cfg: Config) -> None:
    """Data of another kind needs more than other paths."""
    for phase in PHASES:
        kind = leaf_dataset(cfg, phase)['type']
        measures = [str(evaluator['type']) for evaluator in evaluators(cfg, phase)]
        if kind != 'CocoDataset' or any(measure != 'CocoMetric' for measure in measures):
            by = f' and {", ".join(measures)}' if measures else ''
            raise ValueError(
                f'the {phase} data of the config are {kind}{by}, and yours are boxes and masks in '
                "COCO's format: start from a *_coco.py config, none for panoptic data"
            )


def _read(path: Path) -> CocoFile:
    if not path.is_file():
        raise FileNotFoundError(f'--data {path}: no such file')
    file = read_coco(path)
    file.require_annotations()
    return file


def _find_images(file: CocoFile) -> Path:
    """Return the folder in which the first image of a file lies."""
    if not file.images:
        raise ValueError(f'{file.path} lists no images')
    name, path = next(iter(file.images.values()))['file_name'], Path(file.path)
    for root in (path.parent, path.parent.parent):
        for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
            if (folder / name).is_file():
                return folder
    raise FileNotFoundError(
        f'{name}, the first image of {path}, is not beside it: give the folder with --images'
    )


# ------------------------------------------------------------------ for all formats


def leaf_dataset(cfg: Config, phase: str) -> dict[str, Any]:
    """The data set of a phase, out of its wrappers.

    Raises:
        ValueError: If the config has none, or several.
    """
    dataset = (cfg.get(f'{phase}_dataloader') or {}).get('dataset')
    while isinstance(dataset, dict):
        several = dataset.get('datasets')
        if several is not None and len(several) != 1:
            raise ValueError(
                f'the {phase} data of the config are {len(several)} data sets in a '
                f'{dataset["type"]}: start from a config with one'
            )
        inner = dataset.get('dataset') or (several and several[0])
        if inner is None:
            return dataset
        dataset = inner
    raise ValueError(f'{phase}_dataloader of the config has no data set: start from another config')


def evaluators(cfg: Config, phase: str) -> list[dict[str, Any]]:
    """What measures in a phase; training has none."""
    found = cfg.get(f'{phase}_evaluator')
    return list(found) if isinstance(found, (list, tuple)) else [found] if found else []


def set_class_count(cfg: Config, number: int) -> list[str]:
    """Put a number of classes where the model counts those of the config's own data.

    Other counts stay: an RPN's one class, for instance. Weights of a loss, one a class, become 1;
    one more, as of DETR's "no object", is kept.

    Raises:
        ValueError: If the model counts classes, but not those of its data.
    """
    datasets = build_leaf_datasets(cfg, ['train'])['train']
    classes = datasets[0].metainfo.get('classes') if datasets else None
    parts = [cfg.model, cfg.get('data_preprocessor')]  # of MMPretrain: for mixed images
    counted = [(node, key) for node in dicts(parts) for key in CLASS_COUNTS if key in node]
    counts = sorted({node[key] for node, key in counted})
    if not counted:
        return ['the model counts no classes']
    old = len(classes) if classes else max(counts)
    if old not in counts:
        raise ValueError(
            f'the model counts {counts} classes, but the data of the config have {old}, so what to '
            'change is not clear: start from a config whose model and data agree'
        )
    for node, key in counted:
        if node[key] == old:
            node[key] = number
    for node in dicts(parts):
        weights = node.get('class_weight')
        if isinstance(weights, (list, tuple)) and len(weights) in (old, old + 1):
            node['class_weight'] = [1.0] * number + list(weights[old:])
    return [f'num_classes: {old} -> {number}']


def finish(cfg: Config, *, best: str) -> list[str]:
    """Keep the disk from filling, and drop what no longer says the truth.

    Args:
        cfg: The config.
        best: The metric by which the best checkpoint is chosen.
    """
    for key in LEFT_OVER:
        cfg.pop(key, None)
    hook = cfg.setdefault('default_hooks', {}).setdefault('checkpoint', {'type': 'CheckpointHook'})
    hook.update(max_keep_ckpts=3, save_best=best)
    return ['checkpoints: the last three and the best are kept']


def dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict within a part of a config."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from dicts(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from dicts(value)
