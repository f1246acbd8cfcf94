"""A user's own data in COCO's format, put into a config: classes, paths, and the heads."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ..data_checks.coco import find_in_annotations, read_file
from ..data_checks.coco_file import CocoFile, read_coco
from ..data_checks.coco_values import Entry
from ..data_checks.datasets import build_leaf_datasets
from ..data_checks.findings import Finding, notes_unless_error, shorten
from ..data_checks.image_headers import READ_BEFORE_A_RUN, find_in_headers, read_header
from ..data_checks.places import hint_of_accents
from ..errors import ExistingFileError, InputError, MissingFileError
from ..whole_file import write_whole
from .class_names import find_alike
from .held_out import ONE_PICTURE, draw_held_out
from .shared import PHASES, evaluators, finish, leaf_dataset, set_class_count
from .unreadable import find_unreadable

SAMPLED = 20  # images whose sizes are compared


def set_coco_data(
    cfg: Config,
    train: Path,
    val: Path | None = None,
    images: Path | None = None,
    val_images: Path | None = None,
    *,
    test: Path | None = None,
    keeps_background: bool = False,
) -> list[str]:
    """Let a config of MMDetection read other annotations, in place.

    Args:
        cfg: A whole config.
        train: A JSON file in COCO's format.
        val: Likewise, to evaluate on; by default ``train`` again.
        images: Folder of the images of both; by default looked for beside the files.
        val_images: Folder of the images of ``val``, if it is another.
        test: Likewise, to test on; by default ``val``.
        keeps_background: Whether images without annotation are trained on, as background.

    Returns:
        What was changed, a line each.

    Raises:
        ValueError: If the config is no detector's with data in COCO's format, or the two files have
            other categories.
        FileNotFoundError: If a file, or the folder of its images, is not there.
    """
    files = {path: _read(path) for path in (train, val, test) if path}
    classes = files[train].names
    for path, other in files.items():
        if other.names != classes:
            raise InputError(
                f'{path} has the categories {other.names}, but {train} has {classes}: give both '
                'the same, in the same order'
            )
    _require_coco(cfg)
    changes = [f'classes: {len(classes)} of {train}', *set_class_count(cfg, len(classes))]
    changes += find_alike(classes)
    for phase, file in zip(PHASES, (train, val or train, test or val or train), strict=True):
        given = images if phase == 'train' else (val_images or images)
        folder = find_images(files[file], given)
        leaf = leaf_dataset(cfg, phase)
        leaf.update(
            type='CocoDataset',
            data_root='',
            ann_file=str(file),
            data_prefix={'img': f'{folder}/'},
            metainfo={'classes': tuple(classes)},
        )
        if phase == 'train' and keeps_background:
            leaf.setdefault('filter_cfg', {})['filter_empty_gt'] = False
        for evaluator in evaluators(cfg, phase):
            if 'ann_file' in evaluator:
                evaluator['ann_file'] = str(file)
        changes.append(f'{phase}: {file}, images in {folder}')
    for phase, leaves in build_leaf_datasets(cfg, PHASES).items():
        for dataset in leaves if phase != 'test' or test else ():  # else as for val
            read = read_file(dataset)
            found = find_in_annotations(dataset, read)
            found += find_in_headers(dataset.data_prefix['img'], read)
            found += _find_damaged(Path(dataset.data_prefix['img']), read)
            changes += [f'note: {note}' for note in notes_unless_error(found)]
    if val is None:
        changes.append(
            'evaluation is on the training images. Pass --val-share, or --val-data with a JSON '
            'file, to know better'
        )
    return [*changes, *finish(cfg, best='auto')]


def _find_damaged(folder: Path, file: CocoFile) -> list[Finding]:
    """Open some images, and return a finding about those that cannot be read."""
    images = [folder / image['file_name'] for image in file.images.values()]
    some = images[:: max(1, -(-len(images) // READ_BEFORE_A_RUN))]
    suspect = [image for image in some if read_header(image) is None]
    return find_unreadable(suspect, Path(file.path), len(some))


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
        raise InputError(
            f'--val-share {share:g} of the {len(images)} images of {path} is {number}: both parts '
            'need one, so take a share such as 0.2'
        )
    names = [str(image['file_name']) for image in images]
    held_out = {images[i]['id'] for i in draw_held_out(names, number, np.random.default_rng(0))}
    if not held_out:
        raise InputError(f'{path}: all images are copies or slices of one picture. {ONE_PICTURE}')
    parts = path.with_name(f'{path.stem}_train.json'), path.with_name(f'{path.stem}_val.json')
    for part, wanted in zip(parts, (False, True), strict=True):
        if part.exists() and not overwrite:
            raise ExistingFileError(
                f'{part} exists: give it by --data and --val-data, or --force to write it again'
            )
        lists = {
            section: [
                entry for entry in content.get(section, []) if (entry[key] in held_out) == wanted
            ]
            for section, key in (('images', 'id'), ('annotations', 'image_id'))
        }
        write_whole(part, json.dumps(content | lists))
    return parts


def _require_coco(cfg: Config) -> None:
    """Data of another kind needs more than other paths."""
    for phase in PHASES:
        kind = leaf_dataset(cfg, phase)['type']
        measures = [str(evaluator['type']) for evaluator in evaluators(cfg, phase)]
        if kind != 'CocoDataset' or any(measure != 'CocoMetric' for measure in measures):
            by = f' and {", ".join(measures)}' if measures else ''
            raise InputError(
                f'the {phase} data of the config are {kind}{by}, and yours are boxes and masks in '
                "COCO's format: start from a *_coco.py config, none for panoptic data"
            )


def _read(path: Path) -> CocoFile:
    if not path.is_file():
        raise MissingFileError(f'--data {path}: no such file')
    file = read_coco(path)
    file.require_annotations()
    return file


def find_images(file: CocoFile, given: Path | None) -> Path:
    """Return the folder that holds all images of a file, in the sizes that the file says.

    Args:
        file: The annotations.
        given: The folder that the user named.

    Raises:
        FileNotFoundError: If there is none, or the one that was named lacks images.
        ValueError: If several folders fit.
    """
    if not file.images:
        raise InputError(f'{file.path} lists no images')
    path = Path(file.path)
    names = [image['file_name'] for image in file.images.values()]
    if given is not None:
        if missing := _missing(given, names):
            raise MissingFileError(
                f'{len(missing)} of {len(names)} images of {path} are not in {given}: '
                f'{shorten(missing)}. Pass another folder with --images, or --val-images for the '
                'validation split' + hint_of_accents(missing, _names_in(given))
            )
        return given
    holding = find_places(path, names)
    fitting = [place for place in holding if sizes_fit(place, file.images.values())] or holding
    # annotations/instances_val.json belongs to val/, though train/ has the same names
    words = set(re.split(r'[^a-z0-9]+', path.stem.lower()))
    named = [place for place in fitting if place.name.lower() in words]
    chosen = named if len(named) == 1 else fitting
    if len(chosen) > 1:
        raise InputError(
            f'Several folders hold all images of {path}: {shorten(chosen, 8)}. Name the right one '
            'with --images, or --val-images for the validation split'
        )
    return chosen[0]


def find_places(path: Path, names: list[str]) -> list[Path]:
    """Return the folders beside a COCO file that hold all of its images.

    Args:
        path: The file.
        names: Its images.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If names are whole paths.
    """
    if whole := [name for name in names if os.path.isabs(name)]:
        raise InputError(
            f'{len(whole)} file names of {path} are whole paths, such as {whole[0]}. Write them '
            'relative to the folder of the images. If you trust the file, pass --images /'
        )
    holding: list[Path] = []
    for root in (path.parent, path.parent.parent):  # what is farther away belongs to others
        places = (root, *folders_in(root, depth=2))
        holding = holding or [
            place
            for place in places
            if os.path.isfile(place / names[0]) and not _missing(place, names)
        ]
    if not holding and (nearly := _nearly_holding(path, names)):
        place, missing = nearly
        raise MissingFileError(
            f'{len(missing)} of {len(names)} images of {path} are not in {place}, which has the '
            f'others: {shorten(missing)}. Add them, take them out of the file, or pass another '
            'folder with --images, or --val-images for the validation split'
            + hint_of_accents(missing, _names_in(path.parent))
        )
    if not holding:
        raise MissingFileError(
            f'No folder beside {path} holds its {len(names)} images, such as {names[0]}. Pass the '
            'folder with --images, or --val-images for the validation split'
            + hint_of_accents(names, _names_in(path.parent))
        )
    return holding


def _nearly_holding(path: Path, names: list[str]) -> tuple[Path, list[str]] | None:
    """Return the folder beside a COCO file that has most of its images, and what it lacks."""
    root = path.parent
    places = [*(root, *folders_in(root, depth=2)), root.parent, *folders_in(root.parent, depth=1)]
    lacking = {place: _missing(place, names) for place in dict.fromkeys(places)}
    best = min(lacking, key=lambda place: len(lacking[place]))
    return (best, lacking[best]) if 2 * len(lacking[best]) < len(names) else None


def folders_in(root: Path, *, depth: int) -> Iterator[Path]:
    """Yield the folders in a folder, down to a depth; hidden ones are left out."""
    for child in sorted(root.iterdir()):
        if child.is_dir() and not child.name.startswith('.'):
            yield child
            if depth > 1:
                yield from folders_in(child, depth=depth - 1)


def _names_in(root: Path) -> Iterator[str]:
    """Yield the names of the files in a folder and in those in it."""
    for place in (root, *folders_in(root, depth=2)):
        yield from os.listdir(place)


def _missing(folder: Path, names: list[str]) -> list[str]:
    """List each folder once, which is quicker than asking for each file."""
    there = {
        Path(entry.path)
        for parent in {(folder / name).parent for name in names}
        if os.path.isdir(parent)
        for entry in os.scandir(parent)
        if entry.is_file()
    }
    return [name for name in names if folder / name not in there]


def sizes_fit(folder: Path, images: Iterable[Entry]) -> bool:
    """Compare the headers of some images with the sizes in a file, turned by EXIF or not."""
    images = list(images)
    for image in images[:: max(1, len(images) // SAMPLED)]:
        header = read_header(folder / image['file_name'])
        if header is None:
            continue  # damaged, which the checks tell
        if {header.size, header.size[::-1]}.isdisjoint({(image['height'], image['width'])}):
            return False
    return True
