"""Where the images and label maps of each split lie in a folder.

::

    DIR/images/train/a.jpg     DIR/labels/train/a.png                   MMSegmentation, ADE20K
    DIR/train/images/a.jpg     DIR/train/masks/a.png
    DIR/train/a.png            DIR/train_labels/a.png   class_dict.csv  CamVid
    DIR/train/a.jpg            DIR/train/a_mask.png   _classes.csv      Roboflow
    DIR/train/a_sat.jpg        DIR/train/a_mask.png                     DeepGlobe
    DIR/patient1/a.tif         DIR/patient1/a_mask.tif                  with --val-share
    DIR/JPEGImages/a.jpg       DIR/SegmentationClass/a.png   ImageSets/Segmentation/train.txt
    DIR/images/a.jpg           DIR/masks/a.png           train.txt      PaddleSeg
    DIR/images/a.jpg           DIR/masks/a.png                          with --val-share
    DIR/images/train2017/a.jpg DIR/annotations/train2017/a.png          COCO-Stuff

``mask_folders.py`` has the names of the folders.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data_checks.findings import shorten
from ..errors import InputError, MissingFileError
from .class_tables import read_parts
from .coco_folder import split_of
from .data_folder import IMAGES as PICTURES
from .data_folder import find_folder, is_image, list_files, read_text
from .held_out import ONE_PICTURE, draw_held_out
from .listed_splits import split_by_lists
from .mask_folders import IMAGES, LABELS, LAYOUT, SPLITS, TEST, VAL
from .mask_guess import are_maps, common_end, guess_folders, pictures_in
from .mask_unknown import name_layout

LISTS = {'train': ('train', 'trainval'), 'val': VAL, 'test': ('test',)}
MASK = '_mask'  # end of the names of label maps that lie beside the images
ENDS = ('', '_sat', '_image', '_img')  # of the names of images there


class Place(NamedTuple):
    """Where the images and label maps of a split lie.

    Attributes:
        images: Folder of the images.
        labels: Folder of the label maps.
        names: The images that belong to the split, without endings; ``None`` if all do.
        end: What the names of images have before their ending, and those of label maps do not.
    """

    images: Path
    labels: Path
    names: tuple[str, ...] | None = None
    end: str = ''


def find_places(root: Path, share: float | None = None) -> dict[str, Place]:
    """Return the place of each phase: train, val and test.

    Args:
        root: The folder.
        share: Of the images that are kept for the validation, drawn at random, if there is no
            validation split. A test split stays.

    Raises:
        FileNotFoundError: If a folder is not there.
        ValueError: If a share is given for data with a validation split.
    """
    images, labels = find_folder(root, IMAGES), _find_labels(root)
    if images and labels:
        if _find_split(images, SPLITS['train']):
            found = {
                phase: Place(_folder(images, names), _folder(labels, names))
                for phase, names in SPLITS.items()
                if phase == 'train' or _is_split(images, labels, phase)
            }
            return _whole(root, found, share)
        if listed := _listed(root, images, labels):
            return _whole(root, listed, share)
        if _has_inner_splits(images):  # BDD100K's images/10k/train
            if guessed := _guessed(root, share):
                return guessed
            raise MissingFileError(name_layout(root, images, labels))
        return _parted(root, Place(images, labels), share)
    found = {}
    for phase, names in SPLITS.items():
        for name in names:
            folder = find_folder(root, [name])
            if place := (folder and _inside(folder)) or _beside(root, name):
                found.setdefault(phase, place)
    if 'train' in found:
        return _whole(root, found, share)
    is_cityscapes = {'leftImg8bit', 'gtFine'} <= {path.name for path in root.iterdir()}
    if not is_cityscapes and (guessed := _guessed(root, share)):
        return guessed
    if not found and not images and (place := _inside(root)):
        return _parted(root, place, share)
    raise MissingFileError(name_layout(root, images, labels))


def has_label_maps(root: Path) -> bool:
    """Return whether pictures lie in a folder of label maps, or are called so."""
    folders = {name.lower() for name in LABELS}
    for file in filter(is_image, list_files(root)):
        parents = file.relative_to(root).parts[:-1]
        if file.stem.endswith(MASK) or folders & {parent.lower() for parent in parents}:
            return True
    return False


def find_other_labels(place: Place) -> list[Path]:
    """Return folders beside that of the label maps whose pictures could be label maps, too.

    Raises:
        ValueError: If one of them is called like label maps: the eye's outline lies in ``mask``,
            and its vessels in ``1st_manual``.
    """
    labels = place.labels
    if labels == place.images:
        return []
    beside = list(labels.parent.iterdir())
    above = labels.parent.parent
    if labels.parent != place.images.parent and above == place.images.parent.parent:
        # labels/train, masks/train
        beside = [folder / labels.name for folder in above.iterdir()]
    number = len(list(filter(is_image, labels.iterdir())))
    found = [
        folder
        for folder in sorted(beside)
        if folder.is_dir() and folder not in (labels, place.images)
        if len(pictures := pictures_in(folder)) == number and number and are_maps(pictures)
    ]
    names = {
        folder: folder.parent.name if folder.name == labels.name else folder.name
        for folder in found
    }
    if alike := [folder for folder, name in names.items() if _is_called_labels(name)]:
        raise InputError(
            f'{labels} and {shorten(alike)} could all be the label maps of {place.images}. Move '
            'those away that do not count'
        )
    return found


def _is_called_labels(name: str) -> bool:
    words = re.findall('[a-z]+', name.lower())
    known = {label.lower() for label in LABELS} | {'manual', 'st', 'nd'}
    return bool(words) and {*words} <= known


def _is_split(images: Path, labels: Path, phase: str) -> bool:
    """Return whether a split is there; label maps of many test splits are not published."""
    there = [_find_split(folder, SPLITS[phase]) for folder in (images, labels)]
    return all(there) if phase == 'test' else any(there)


def _whole(root: Path, found: dict[str, Place], share: float | None) -> dict[str, Place]:
    """Return the place of each phase, of those that are there; a share parts what is trained on.

    Raises:
        FileNotFoundError: If there is nothing to judge with, and no share.
        ValueError: If there is a share and a validation split.
    """
    found = {phase: _with_end(place) for phase, place in found.items()}
    if share and 'val' in found:
        raise InputError(
            f'--data {root} has a validation split already ({found["val"].images}). Leave out '
            '--val-share'
        )
    if share:
        parted = _parted(root, found['train'], share)
        found = {**found, 'train': parted['train'], 'val': parted['val']}
    val = found.get('val', found.get('test'))
    if val is None:
        raise MissingFileError(
            f'{root} has images to train on ({found["train"].images}), but no folder or list '
            f'{" or ".join(VAL)}. Add one, or pass --val-share 0.2, which keeps a fifth of these '
            'images for the validation'
        )
    return {**found, 'val': val, 'test': found.get('test', val)}


def _folder(parent: Path, names: tuple[str, ...]) -> Path:
    if found := _find_split(parent, names):
        return found
    raise MissingFileError(f'{parent} has no folder {" or ".join(names[:3])}. {LAYOUT}')


def _with_end(place: Place) -> Place:
    """Return a place whose images may have an end of their own: ``a_RGB`` and ``a_label``."""
    if place.end or place.names is not None or place.images == place.labels:
        return place
    stems = [file.stem for file in list_files(place.images) if is_image(file)]
    maps = [file.stem for file in list_files(place.labels) if is_image(file)]
    end = common_end(stems)
    if not end or any(name.startswith(stems[0]) for name in maps):
        return place
    bare = stems[0].removesuffix(end)
    return place._replace(end=end) if any(name.startswith(bare) for name in maps) else place


def _find_split(parent: Path, names: Iterable[str]) -> Path | None:
    """Return the folder of a split; its name may have a year, as COCO's ``train2017``.

    Raises:
        ValueError: If there are several years.
    """
    names = list(names)
    if found := find_folder(parent, names):
        return found
    years = re.compile(rf'({"|".join(names)})[_-]?\d{{4}}', re.IGNORECASE)
    there = [path for path in parent.iterdir() if path.is_dir() and years.fullmatch(path.name)]
    if len(there) > 1:
        raise InputError(
            f'{parent} has {shorten(sorted(path.name for path in there))}. Keep one, or put the '
            f'files together into {parent / names[0]}'
        )
    return there[0] if there else None


def _has_inner_splits(images: Path) -> bool:
    """Return whether the folders in a folder of images name splits."""
    files = filter(is_image, list_files(images))
    found = {split_of(folder / '_', images) for folder in {file.parent for file in files}}
    return 'train' in found and len(found - {''}) > 1


def _inside(folder: Path) -> Place | None:
    """Return where images and label maps lie in the folder of a split."""
    images, labels = find_folder(folder, IMAGES), _find_labels(folder)
    if images and labels:
        return Place(images, labels)
    files = [file.relative_to(folder) for file in list_files(folder) if is_image(file)]
    pictures = {str(file.with_suffix('')) for file in files}
    masks = {stem.removesuffix(MASK) for stem in pictures if stem.endswith(MASK)}
    stems = {stem for stem in pictures if not stem.endswith(MASK)}
    if not masks or not stems:
        return None
    end = max(ENDS, key=lambda end: len(stems & {f'{name}{end}' for name in masks}))
    if stems.isdisjoint(f'{name}{end}' for name in masks):
        return None
    if lone := sorted(stems - {f'{name}{end}' for name in masks}):
        raise MissingFileError(
            f'{len(lone)} images of {folder} have no label map: {shorten(lone)} without '
            f'{lone[0].removesuffix(end)}{MASK}.png'
        )
    return Place(folder, folder, tuple(sorted(stem.removesuffix(end) for stem in stems)), end)


def _find_labels(root: Path) -> Path | None:
    """Return the first folder of label maps that has pictures; annotations/ may hold XML files."""
    there = [folder for name in LABELS if (folder := find_folder(root, [name]))]
    folder = next(filter(_has_pictures, there), None)
    if folder is None:
        return next(iter(there), None)
    while not any(map(is_image, folder.iterdir())):  # Oxford's annotations/trimaps
        inner = [child for child in folder.iterdir() if child.is_dir() and _has_pictures(child)]
        if len(inner) != 1 or inner[0].name.lower() in (*SPLITS['train'], *SPLITS['val'], *TEST):
            break
        folder = inner[0]
    return folder


def _has_pictures(folder: Path) -> bool:
    return any(map(is_image, folder.rglob('*')))


def _beside(root: Path, split: str) -> Place | None:
    """Return the folders whose names begin with a split's: ``train`` and ``train_labels``."""
    images = find_folder(root, [f'{split}_{name}' for name in IMAGES] + [split])
    names = [f'{split}{gap}{name}' for name in (*LABELS, 'annot') for gap in ('_', '')]
    labels = find_folder(root, names)
    return Place(images, labels) if images and labels else None


def _listed(root: Path, images: Path, labels: Path) -> dict[str, Place]:
    """Return the splits in the lists of Pascal VOC, CVAT and PaddleSeg, and in other folders."""
    known = {_stem(file.relative_to(images)) for file in list_files(images) if is_image(file)}
    places = [root / 'ImageSets/Segmentation', *sorted(root.glob('ImageSets/Seg*')), root]
    places += [labels.parent] if labels.parent.parent == root else []  # Oxford's annotations/
    for lists in places:
        found = {}
        for phase, names in LISTS.items():
            path = next((p for p in (lists / f'{name}.txt' for name in names) if p.is_file()), None)
            lines = filter(None, map(str.strip, read_text(path).splitlines())) if path else ()
            if listed := tuple(_listed_name(line, images, known) for line in lines):
                found[phase] = Place(images, labels, listed)
        is_voc = lists.name == 'Segmentation'  # of which missing images are told
        if 'train' in found and (is_voc or known.issuperset(found['train'].names or ())):
            return found
    files = list_files(root)
    pictures = [file for file in files if is_image(file) and file.is_relative_to(images)]
    texts = [file for file in files if file.suffix.lower() == '.txt']
    parts = split_by_lists(pictures, texts, every=False)  # splits/train.txt
    if not parts:
        tables = [file for file in files if file.suffix.lower() in ('.csv', '.tsv')]
        for image, split in read_parts(root, pictures, tables).items():
            parts.setdefault(split, []).append(image)
    if 'train' not in parts or len(parts) < 2:
        return {}
    return {
        phase: Place(images, labels, tuple(_stem(file.relative_to(images)) for file in listed))
        for phase, listed in parts.items()
    }  # nothing for CVAT's default.txt


def _stem(path: Path) -> str:
    return str(path.with_suffix(''))


def _listed_name(line: str, images: Path, known: set[str]) -> str:
    """Return the image in a line: ``a``, ``a 1 2``, or ``images/a.jpg labels/a.png``."""
    if line in known:
        return line
    name = line.replace('\\', '/').split()[0]
    if name in known:
        return name
    parts = name.rpartition(f'{images.name}/')
    return _stem(Path(parts[2])) if Path(name).suffix.lower() in PICTURES else line


def _parted(root: Path, place: Place, share: float | None) -> dict[str, Place]:
    """Part images that lie in one folder, always in the same way."""
    place = _with_end(place)
    images = place.images
    stems = sorted(
        place.names
        or (
            str(file.relative_to(images).with_suffix('')).removesuffix(place.end)
            for file in list_files(images)
            if is_image(file)
        )
    )
    if not stems:
        raise MissingFileError(f'{images} has no images. {LAYOUT}')
    if not share:
        raise MissingFileError(
            f'{images} has no folder {" or ".join(SPLITS["train"])}. If {root} has no splits, pass '
            f'--val-share 0.2, which keeps a fifth of the images for the validation. {LAYOUT}'
        )
    number = round(share * len(stems))
    if not 0 < number < len(stems):
        raise InputError(
            f'--val-share {share:g} of {len(stems)} images is {number}: both parts need one, so '
            'take a share such as 0.2'
        )
    held_out = draw_held_out(stems, number, np.random.default_rng(0))
    if not held_out:
        raise InputError(f'{images}: all images are copies or slices of one picture. {ONE_PICTURE}')
    val = place._replace(names=tuple(s for i, s in enumerate(stems) if i in held_out))
    train = tuple(s for i, s in enumerate(stems) if i not in held_out)
    return {'train': place._replace(names=train), 'val': val, 'test': val}


def _guessed(root: Path, share: float | None) -> dict[str, Place]:
    """Return the places of folders that have other names, if they can be told."""
    found = guess_folders(root)
    if any(len(pairs) > 1 for pairs in found.values()):
        listed = [str(images) for pairs in found.values() for images, _ in pairs]
        raise InputError(
            f'{root} has several folders of images with label maps for one split: '
            f'{shorten(listed, 8)}. Put them together. {LAYOUT}'
        )
    places = {split: Place(*pairs[0]) for split, pairs in found.items()}
    if set(places) == {''}:
        place = places['']
        splits = _listed(root, place.images, place.labels)
        return _whole(root, splits, share) if splits else _parted(root, place, share)
    return _whole(root, places, share) if 'train' in places else {}
