"""A user's own data in COCO's format, put into a config: classes, paths, and the heads."""

import json
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ..data_checks.coco import find_in_training, read_file
from ..data_checks.coco_file import CocoFile, read_coco
from ..data_checks.datasets import build_leaf_datasets
from ..data_checks.findings import notes_unless_error
from .shared import PHASES, evaluators, finish, leaf_dataset, set_class_count


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
