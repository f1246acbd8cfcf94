"""Which images a classifier trains on and is judged by, where tables name the classes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data_checks.findings import shorten
from ..errors import InputError
from .class_cells import sort_classes
from .class_images import class_names, is_read
from .class_splits import read_split_lists
from .class_tables import Tables, read_class_tables
from .cub import read_cub
from .data_folder import list_files
from .held_out import draw_held_out
from .shared import PHASES

# What tables say where they know no class, in small letters
UNKNOWN = (
    *('none', 'null', 'n/a', 'na', '#n/a', '<na>', '?', '-', '-1', 'unknown', 'undefined'),
    *('unlabeled', 'unlabelled', 'missing'),
)


class Listed(NamedTuple):
    """Images for lists.

    Attributes:
        parts: The class of each image, by split; empty if folders name the classes.
        classes: The classes in their order.
        notes: What the user should know.
    """

    parts: dict[str, dict[Path, str]]
    classes: tuple[str, ...] = ()
    notes: Sequence[str] = ()


def find_listed(root: Path, splits: dict[str, Path | None], share: float | None) -> Listed:
    """Return the images whose classes are in tables.

    Args:
        root: The folder.
        splits: The folder of each split that is there.
        share: Of the images of each class that are kept for the validation.

    Raises:
        ValueError: If tables and folders disagree, a split is missing, or one has other classes.
    """
    parts, notes = read_cub(root)
    if parts:
        return _whole(root, parts, notes, share)
    places = [place for place in splits.values() if place] or [root]
    has_folders = len(class_names(places[0])) > 1
    try:
        tables = read_class_tables(root)
        agree = has_folders and _agree(root, places, tables)
    except InputError as error:
        if not has_folders:
            raise
        raise InputError(
            f'{error}. If the folders of {places[0]} are the classes, move the tables out of {root}'
        ) from error
    named = {split: images for split, images in tables.splits.items() if images}
    if agree and (splits['train'] or set(named) == {''}):
        return Listed({})
    if set(named) <= {''} and not splits['train'] and not (named and share):
        listed, notes = read_split_lists(root)
        if listed:
            return _whole(root, listed, notes, share)
    if not named and has_folders and not splits['train'] and tables.parted:
        return _of_folders(root, tables.parted, share)
    if not named:
        if tables.skipped and not has_folders:
            raise InputError(
                f'{places[0]} has no class folders, and no table there names the images and their '
                f'classes: {"; ".join(tables.skipped)}. What is wanted: a table with the columns '
                'filename and label (docs/tutorial.md)'
            )
        return Listed({}, notes=tables.skipped)
    parts = {split or 'train': images for split, images in named.items()}
    titles, notes = _names_of_folders(root, places, parts.get('train', {}))
    parts = {s: {p: titles.get(n, n) for p, n in images.items()} for s, images in parts.items()}
    for split, folder in splits.items():
        inner = class_names(folder) if folder and split not in parts else set()
        known = inner if split == 'train' else set(parts.get('train', {}).values())
        if folder and len(inner) > 1 and inner <= known:
            parts[split] = images_of(folder, sorted(inner))
    return _whole(root, parts, [*tables.notes, *notes], share)


def images_of(folder: Path, classes: Iterable[str]) -> dict[Path, str]:
    """Return the images in class folders, and the class of each."""
    return {path: name for name in classes for path in list_files(folder / name) if is_read(path)}


def part_classes(
    files: dict[str, list[Path]], share: float
) -> tuple[dict[Path, str], dict[Path, str]]:
    """Part the images of each class, always in the same way, into those to train and to judge.

    Raises:
        ValueError: If a class has too few images.
    """
    rng = np.random.default_rng(0)
    train: dict[Path, str] = {}
    val: dict[Path, str] = {}
    for name, paths in files.items():
        # a single one is to train on
        number = max(1, round(share * len(paths))) if len(paths) > 1 else 0
        if number >= len(paths):
            raise InputError(
                f'--val-share {share:g} of the {len(paths)} images of {name} leaves none to train '
                'on. Add images, or take a smaller share'
            )
        held_out = draw_held_out([path.as_posix() for path in paths], number, rng)
        for i, path in enumerate(paths):
            (val if i in held_out else train)[path] = name
    if not val:
        raise InputError(
            f'--val-share {share:g} leaves no image to judge, since each of {shorten(files)} has '
            'a single image, or copies of a single one. Add images'
        )
    return train, val


def _agree(root: Path, places: list[Path], tables: Tables) -> bool:
    """Return whether class folders part the images as the tables do.

    Raises:
        ValueError: If images lie in the folders of other classes than the tables say.
    """
    found = {path: name for images in tables.splits.values() for path, name in images.items()}
    folders = {path: _class_folder(path, root, places) for path in found}
    pairs = {(folders[path], name) for path, name in found.items()}
    inner, classes = {folder for folder, _ in pairs}, {name for _, name in pairs}
    if '' not in inner and len(pairs) == len(inner) == len(classes) > 1:
        return True
    odd = [p for p, name in found.items() if folders[p] in classes and folders[p] != name]
    if odd:
        raise InputError(
            f'{len(odd)} images lie in the folder of another class than a table says, such as '
            f'{odd[0]}, which the table calls {found[odd[0]]}'
        )
    return False


def _of_folders(root: Path, parted: Mapping[Path, str], share: float | None) -> Listed:
    """Return the images of class folders by the splits that a table names."""
    folders = {image: _class_folder(image, root, [root]) for image in parted}
    classes = sorted({name for name in folders.values() if name})
    images = images_of(root, classes)
    if bare := sorted(images.keys() ^ parted.keys()):
        raise InputError(
            f'A table parts the images of {root}, and {len(bare)} of {len(images)} are in no row '
            f'or no class folder, such as {bare[0]}. Correct the table, or move it away'
        )
    parts: dict[str, dict[Path, str]] = {}
    for image, split in parted.items():
        parts.setdefault(split, {})[image] = folders[image]
    notes = ['the splits are those of a table; the classes are the folders of images']
    return _whole(root, parts, notes, share)


def _names_of_folders(
    root: Path, places: list[Path], images: dict[Path, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the folder of each class that is a number, and a note: ``n02123045/1.jpg 281``.

    Args:
        root: The folder of the data.
        places: The folders of the splits.
        images: The class of each image to train on, by a table.

    Returns:
        Nothing, unless all classes are numbers, and each is the only one in a folder of its own.
    """
    pairs = {(_class_folder(path, root, places), name) for path, name in images.items()}
    titles = {name: folder for folder, name in pairs}
    is_one_to_one = len(pairs) == len(titles) == len({*titles.values()}) > 1
    are_numbers = all(name.isdecimal() and not titles[name].isdecimal() for name in titles)
    if not is_one_to_one or not are_numbers or '' in titles.values():
        return {}, []
    number, folder = min(titles.items())
    return titles, [f'the names of the classes are those of their folders: {number} is {folder}']


def _class_folder(path: Path, root: Path, places: list[Path]) -> str:
    place = next((place for place in places if path.is_relative_to(place)), root)
    parts = path.relative_to(place).parts
    return parts[0] if len(parts) > 1 else ''


def _whole(
    root: Path, parts: dict[str, dict[Path, str]], notes: list[str], share: float | None
) -> Listed:
    """Return the images of all splits; a share parts those to train on."""
    train = parts.get('train', {})
    if not train:
        raise InputError(
            f'{root} has classes for {", ".join(parts)}, but none for training. Add a table '
            'train.csv, or train/<class>/'
        )
    if share and 'val' in parts:
        raise InputError(
            f'--data {root} has a validation split of {len(parts["val"])} images. Leave out '
            '--val-share'
        )
    classes = sort_classes(set(train.values()))
    if len(classes) < 2:
        raise InputError(f'{root} has images of one class only ({classes[0]}). Two are the least')
    times = Counter(train.values())
    single = [name for name in classes if times[name] == 1]
    if len(classes) > 2 and len(single) > len(classes) / 2:
        raise InputError(
            f'{root}: {len(single)} of {len(classes)} classes have a single image to train on '
            f'({shorten(single)}). If another column of the table names the class, call it '
            "'class', and rename the one that was taken"
        )
    for split, images in parts.items():
        if unknown := sorted(set(images.values()) - set(classes)):
            raise InputError(
                f'The {split} split of {root} has the classes {shorten(unknown, 8)}, and no image '
                'of them is to train on. Correct the tables'
            )
    if len(classes) > 2 and (unknown := [name for name in classes if name.lower() in UNKNOWN]):
        number = sum(times[name] for name in unknown)
        notes = [
            *notes,
            f'{shorten(unknown)} is learned as a class like the others, from {number} images. If '
            'it says that nobody knows the class, delete these rows of the table',
        ]
    if share:
        files: dict[str, list[Path]] = {name: [] for name in classes}
        for path in sorted(train):
            files[train[path]].append(path)
        train, val = part_classes(files, share)
        parts = {**parts, 'train': train, 'val': val}
    elif 'val' not in parts and 'test' not in parts:
        raise InputError(
            f'{root} has {len(train)} images to train on and no validation split. Pass --val-share '
            '0.2, which keeps a fifth of the images of each class for the validation, or add a '
            'table val.csv'
        )
    elif 'val' not in parts:
        parts = {**parts, 'val': parts['test']}
        parts.pop('test')
    return Listed({split: parts[split] for split in PHASES if split in parts}, classes, notes)
