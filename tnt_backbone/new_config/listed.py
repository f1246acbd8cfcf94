"""Annotation files that list many images: CreateML, CVAT, VIA, tables.

An image is found by its name: the one whose path ends like the name, else the one of the same last
part. Only images in the folder of the data are taken, wherever a name leads.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ..data_checks.coco_masks import FARTHEST
from ..data_checks.findings import Finding, shorten
from ..errors import InputError
from .class_names import choose_classes
from .class_titles import names_of_codes
from .coco_folder import split_of
from .data_folder import by_stem, composed, is_image, list_files, split_by_folders
from .labelled import (
    Item,
    LabelledImages,
    Labels,
    Shape,
    Size,
    UnusableError,
    left_out_kind,
)
from .pairs import find_without_partner, nearest

DIGITS = 6  # of a number of a class
CLASS_FILES = ('classes.txt', 'labels.txt', '_darknet.labels')
ADVICE = 'If they show none of the classes, put them into a file of annotations without an object'


class Listed(NamedTuple):
    """One image in an annotation file.

    Attributes:
        file: The annotation file.
        name: The image's name in it, with or without folders.
        read: Returns its objects, for an image of a width and height.
        names: The class of each object.
        split: Its split if the file says it, else an empty text.
    """

    file: Path
    name: str
    read: Callable[[Size], Labels]
    names: Sequence[str]
    split: str = ''


def gather(
    root: Path,
    entries: Iterable[Listed],
    *,
    classes: Sequence[str] = (),
    notes: Iterable[str] = (),
    ending: bool = True,
    per_image: bool = False,
) -> LabelledImages:
    """Return the images and objects of annotation files.

    Args:
        root: The folder of the data.
        entries: What the files list.
        classes: Names and order of the classes, if the files say it.
        notes: What the user should know.
        ending: Whether the names of images have an ending.
        per_image: Whether each image has an annotation file, whose name says nothing of a split.

    Raises:
        ValueError: If no image is there, if two entries are for one image, or if a class is not
            among those of a list.
    """
    entries = list(entries)
    if not entries:
        raise InputError(
            f'--data {root} has no annotation file of this format. Pass another folder or --format'
        )
    images = [file for file in list_files(root) if is_image(file)]
    find = _finder(images, root, with_ending=ending)
    found: dict[tuple[Path, Path], Listed] = {}  # by annotation file and image
    owners: dict[Path, list[Listed]] = {}
    missing: dict[Path, list[str]] = {}
    for entry in entries:
        image = find(entry)
        if image is None:
            missing.setdefault(entry.file, []).append(entry.name)
            continue
        found[entry.file, image] = entry
        owners.setdefault(image, []).append(entry)
    if not found:
        wanted = shorten([entry.name for entry in entries])
        raise InputError(
            f'--data {root} has none of the {len(entries)} images that its annotation files list '
            f'({wanted}). Put the images into the folder'
        )
    if twice := [image for image, listed in owners.items() if len(listed) > 1]:
        listed = owners[twice[0]]
        raise InputError(
            f'{len(twice)} images have several entries in annotation files, such as {twice[0]}: '
            f'{shorten([f"{entry.name} in {entry.file}" for entry in listed])}. Keep one for each'
        )
    times = Counter(name for entry in found.values() for name in entry.names)
    titles, titled = _titles(root, times, classes)
    if titles:
        times = Counter({titles[number]: many for number, many in times.items()})
        names, more = list(titles.values()), titled
    elif classes:
        if unknown := sorted(set(times) - set(classes)):
            raise InputError(
                f'--data {root}: the list of classes ({shorten(classes, 8)}) lacks '
                f'{shorten(unknown, 8)}, which the annotations have. Add them to the list'
            )
        names, more = list(classes), [f'classes in the order of the list: {shorten(classes, 20)}']
    else:
        names, more = choose_classes(root, times, CLASS_FILES)
    folders = {image.parent for image in owners}
    bare = [image for image in images if image not in owners and image.parent in folders]
    lone = list(missing) if per_image else []
    findings = find_without_partner(bare, lone, 'left out', ADVICE)
    totals = Counter(entry.file for entry in entries)
    for file, absent in missing.items() if not per_image else ():
        total = totals[file]
        text = (
            f'{len(absent)} of {total} images that {file} lists are not in --data {root}, left '
            f'out: {shorten(absent)}. Add the images'
        )
        findings.append(Finding(left_out_kind(len(absent), total), str(file), text))

    def read(file: Path, image: Path, size: Size) -> Labels:
        try:
            labels = found[file, image].read(size)
            named = [s._replace(name=titles.get(s.name, s.name)) for s in labels.shapes]
            labels = labels._replace(shapes=named)
            for shape in labels.shapes:
                _check(shape, size)
        except InputError as error:
            raise UnusableError('label cannot be read', str(error)) from error
        return labels

    splits = _split(root, found, per_image=per_image)
    return LabelledImages(root, splits, read, names, [*more, *notes], findings)


def _titles(
    root: Path, times: Counter[str], classes: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the names that a file gives to classes which are numbers, in their order; and notes.

    Args:
        root: The folder of the data.
        times: How often each class occurs.
        classes: The list of classes, if there is one; names in it decide.
    """
    numbers = {*times, *classes}
    if not numbers or not all(name.isdecimal() and len(name) < DIGITS for name in numbers):
        return {}, []
    from_0 = map(str, range(max(map(int, numbers)) + 1))
    codes = tuple(from_0 if '0' in numbers else sorted(numbers, key=int))
    names, notes = names_of_codes(root, codes)
    return ({}, []) if names == codes else (dict(zip(codes, names, strict=True)), notes)


def _check(shape: Shape, size: Size) -> None:
    """Check that pycocotools can draw an object.

    Raises:
        InputError: If a polygon has fewer than 3 points, or one is far away.
    """
    if any(len(polygon) < 6 for polygon in shape.polygons):
        raise InputError(f'a polygon of {shape.name!r} has fewer than 3 points')
    values = [*shape.box, *chain.from_iterable(shape.polygons)]
    if not all(abs(value) <= FARTHEST * max(size) for value in values):
        raise InputError(f'a point of {shape.name!r} is not near the image')


def _finder(
    images: list[Path], root: Path, *, with_ending: bool
) -> Callable[[Listed], Path | None]:
    by_name: dict[str, list[Path]] = {}
    for image in images:
        by_name.setdefault(composed(image.name).lower(), []).append(image)
    stems = by_stem(images)

    def find(entry: Listed) -> Path | None:
        parts = [
            part for part in composed(entry.name).replace('\\', '/').split('/') if part.strip('.')
        ]
        if not parts:
            return None
        same = by_name.get(parts[-1].lower(), [])
        if not same and not with_ending:
            same = stems.get(parts[-1], [])
        if len(same) > 1 and (split := entry.split or split_of(entry.file, root)):
            # train_labels.csv and test_labels.csv may count their images anew
            same = [i for i in same if split_of(i.with_name('_'), root) == split] or same
        for length in range(len(parts), 1, -1):
            ending = tuple(parts[-length:-1])
            if close := [image for image in same if image.parent.parts[-length + 1 :] == ending]:
                return nearest(close, entry.file, parts[-1])
        return nearest(same, entry.file, parts[-1])

    return find


def _split(
    root: Path, found: dict[tuple[Path, Path], Listed], *, per_image: bool
) -> dict[str, list[Item]]:
    """Return the splits that entries name, else names of annotation files, else of folders."""
    files = {file for file, _ in found}
    items: dict[str, list[Item]] = {}
    by_image = {image: Item(image, file) for file, image in found}
    for (file, image), entry in found.items():
        place = file.with_name('_') if per_image else file
        split = entry.split or (split_of(place, root) if len(files) > 1 else '')
        items.setdefault(split, []).append(by_image[image])
    if per_image and set(items) == {'train'}:  # KITTI's training/: lists may part it
        items = {'': items['train']}
    if 'train' in items and '' not in items:
        return items
    if named := {split: listed for split, listed in items.items() if split}:
        loose = [str(item.image) for item in items.get('', [])]
        text = f'{len(loose)} images of no split, such as {loose[0]}' if loose else 'none for train'
        raise InputError(
            f'The annotation files of --data {root} name the splits {", ".join(named)}, and there '
            f'are {text}. Put each image into a split, and some into train'
        )
    by_folder = split_by_folders(by_image, root)
    return {split: [by_image[image] for image in images] for split, images in by_folder.items()}
