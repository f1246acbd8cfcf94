"""Which files in COCO's format lie in a folder, and which split each of them is.

::

    DIR/train/_annotations.coco.json   DIR/valid/...   DIR/test/...         Roboflow
    DIR/annotations/instances_train2017.json, instances_val2017.json        COCO
    DIR/train.json   DIR/val.json      DIR/images/                          any
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data_checks.coco_file import SECTIONS, load_json
from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import is_panoptic
from ..errors import InputError
from .data_folder import SPLITS, some_of_each_folder
from .write_coco import is_made_here

OTHER_TASKS = (
    'captions',
    'person_keypoints',
    'panoptic',
    'stuff',
    'image_info',
    'labels',
)  # beside COCO's instances_*


def find_coco(root: Path, files: list[Path]) -> list[Path]:
    """Return the files in COCO's format, without those that tools/new_config.py made.

    Args:
        root: The folder.
        files: All files in it.
    """
    listed = [file for file in files if file.suffix.lower() == '.json']
    names = {file.name for file in listed}
    if any(name.startswith('instances') for name in names):
        listed = [file for file in listed if not file.name.startswith(OTHER_TASKS)]
    known = set(listed)
    return [
        file
        for file in some_of_each_folder(listed)
        if not _is_copy(file, known) and _is_coco(content := read_json(file))
        if not is_made_here(content)
    ]


def _is_copy(file: Path, known: set[Path]) -> bool:
    """Return whether ``correct_coco`` made a file."""
    base, separator, _ = file.name.rpartition('_corrected.json')
    return bool(separator) and file.with_name(f'{base}.json') in known


def _is_coco(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and all(isinstance(content.get(name), list) for name in SECTIONS)
        and not is_panoptic(content)
    )


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or ``None`` if it is damaged."""
    try:
        return load_json(path)[0]
    except ValueError:
        return None


def assign_splits(root: Path, found: list[Path]) -> dict[str, Path]:
    """Return the file of each split, by a word in the names of the file and its folders.

    Args:
        root: The folder; names above it do not count.
        found: Its files in COCO's format.

    Raises:
        ValueError: If it is not clear which file is for training.
    """
    splits: dict[str, list[Path]] = {}
    for file in found:
        splits.setdefault(split_of(file, root), []).append(file)
    if len(found) == 1 and '' in splits:
        return {'train': found[0]}
    unclear = [files for split, files in splits.items() if not split or len(files) > 1]
    if unclear or 'train' not in splits:
        raise InputError(
            f"--data {root} has several files in COCO's format, and it is not clear which one is "
            f'for training: {shorten(unclear[0] if unclear else found, 8)}. Pass the files: --data '
            'TRAIN.json --val-data VAL.json'
        )
    return {split: files[0] for split, files in splits.items()}


def find_damaged(root: Path, files: list[Path], splits: Mapping[str, Path]) -> list[str]:
    """Return a note about JSON files that cannot be read, beside those of the splits.

    A validation split without "annotations" is refused, too. Of a test split, they often are not
    published.

    Args:
        root: The folder.
        files: Its files.
        splits: The file of each split that is read.

    Raises:
        ValueError: If one of them is named for a split that would be missing.
    """
    faults = {}
    others = OTHER_TASKS if any(file.name.startswith('instances') for file in files) else ()
    for file in some_of_each_folder(files):
        is_json = file.suffix.lower() == '.json' and file not in splits.values()
        if is_json and not file.name.startswith(others):
            try:
                content = load_json(file)[0]
            except ValueError as error:
                faults[file] = str(error)
                continue
            has_images = isinstance(content, dict) and isinstance(content.get('images'), list)
            if has_images and 'val' not in splits and split_of(file, root) == 'val':
                lists = shorten([name for name in SECTIONS if name not in content], 8)
                if lists:
                    faults[file] = f'{file} has "images", and no {lists}'
    for file, fault in faults.items():
        if (split := split_of(file, root)) and split not in splits:
            raise InputError(f'{fault}. By its name, it is the {split} split. Or move it away')
    return [f'files that cannot be read are left out: {shorten(faults.values())}'] if faults else []


def split_of(file: Path, root: Path) -> str:
    """Return the split that a word in the path of a file names, or an empty text."""
    parts = file.relative_to(root).with_suffix('').parts
    for part in reversed(parts):
        words = re.findall('[a-z]+', part.lower())
        for split, names in SPLITS.items():
            if set(words) & set(names):
                return split
    return ''
