"""A user's own data in YOLO's format: a text file per image, a row per object.

::

    DIR/data.yaml            names: [cat, dog]   train: images/train   val: images/val
    DIR/images/train/a.jpg   DIR/labels/train/a.txt      Ultralytics; or train/images, train/labels
    DIR/a.jpg   DIR/a.txt    DIR/classes.txt             LabelImg, darknet (obj.data, obj.names)

A row is ``class x y width height`` (centre and size) or ``class x y x y x y ...`` (polygon), as
shares of the image's width and height. An image without a label file, or with an empty one, is
background. As in Ultralytics' reader, an image with a row that is not usable is left out, and a row
that repeats another one too.
"""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..data_checks.findings import Finding, shorten
from ..errors import InputError, MissingFileError
from .data_folder import composed, is_image, list_files, read_text, split_by_folders
from .labelled import (
    Item,
    LabelledImages,
    Labels,
    Size,
    left_out_kind,
)
from .pairs import find_without_partner
from .yolo_rows import count_bare_keypoints, numbers_in, read_rows
from .yolo_splits import CLASS_FILES, Description, describe, resolve

SAMPLED = 200  # label files whose rows are looked at together
FORM = 'centre and size, as shares of the image'
LISTS = {'train': ('train.txt',), 'val': ('val.txt', 'valid.txt'), 'test': ('test.txt',)}


def read_yolo(root: Path) -> LabelledImages:
    """Return the images and labels of a data set.

    Args:
        root: Its folder, or its ``data.yaml`` or ``obj.data``.

    Raises:
        ValueError: If the classes have no names, or no image has a label file.
        FileNotFoundError: If the images of a split are missing.
    """
    said = describe(root)
    folder = root.parent if root.is_file() else root
    images, findings, notes = _images(said, folder)
    splits = {
        split: [Item(image, find_labels(image)) for image in found]
        for split, found in images.items()
    }
    items = [item for found in splits.values() for item in found]
    labelled = [item for item in items if item.labels]
    if not items:
        raise InputError(f'--data {root} has no images. Put them beside their label files')
    if not labelled:
        tried = _label_paths(items[0].image)
        raise InputError(
            f'None of the {len(items)} images of --data {root} has a label file. Of the first one, '
            f'it would be {tried[0]} or {tried[-1]}. Put the label files there'
        )
    advice = 'Add the label files if they show one of the classes'
    bare = [item.image for item in items if not item.labels]
    findings += find_without_partner(bare, _lone_labels(labelled, said), 'background', advice)
    names = list(said.names.values())
    notes.insert(0, f'classes in the order of {said.place}: {shorten(names, 20)}')
    notes += _find_other_orders(said, folder)
    if said.keypoints is None:
        notes += _look_at_rows(labelled, said)
    else:
        notes.append(f'{said.place} has kpt_shape: the boxes are read, the keypoints are left out')

    def read(path: Path, _image: Path, size: Size) -> Labels:
        return read_rows(path, size, said.names, said.keypoints)

    return LabelledImages(folder, splits, read, names, notes, findings, FORM)


def _find_other_orders(said: Description, folder: Path) -> list[str]:
    """Return a note about lists of the same classes in another order: the numbers mean others."""
    names = list(said.names.values())
    notes = []
    for file in list_files(folder):
        if file.name.lower() in CLASS_FILES and file != said.place:
            lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
            if lines != names and sorted(lines) == sorted(names):
                notes.append(
                    f'{file} has the same classes in another order: {shorten(lines, 20)}. That of '
                    f'{said.place} is taken. If it is the wrong one, all names are exchanged: '
                    'correct it'
                )
    return notes


def _look_at_rows(items: list[Item], said: Description) -> list[str]:
    """Return a note about oriented boxes or ids, and refuse keypoints that nothing announced.

    Raises:
        ValueError: If rows hold a box and keypoints without visibility, which look like polygons.
    """
    step = max(1, len(items) // SAMPLED)
    rows = [row for item in items[::step] if item.labels for row in numbers_in(item.labels)]
    if points := count_bare_keypoints(rows):
        raise InputError(
            f'The {len(rows)} rows in label files of {said.place.parent} that were looked at have '
            f'{5 + 2 * points} numbers. All look like a box and {points} keypoints in it, such as '
            f'{rows[0]}. Read as polygons, they would be wrong shapes. Add kpt_shape: [{points}, 2]'
            ' to data.yaml'
        )
    ids = {row[0] for row in rows}
    if said.names.keys() - ids == {0}:
        return [
            f'no row that was looked at has the class id 0 ({said.names[0]!r}), and all others '
            'occur. YOLO counts from 0. If the ids of your files count from 1, all classes are '
            'learned under the name of the next one: subtract 1 in the files, or put a name before '
            'the first'
        ]
    if rows and all(len(row) == 9 for row in rows):
        return [
            'all rows have four corners, as oriented boxes have: each outline is read as a mask, '
            'with the upright box around it'
        ]
    return []


def _images(
    said: Description, root: Path
) -> tuple[dict[str, list[Path]], list[Finding], list[str]]:
    """Return the images of each split: as described, else as lists or folders say."""
    if said.splits:
        if 'train' not in said.splits:
            raise InputError(f'{said.place} has no train. Add the folder of the training images')
        return _described_images(said, said.splits)
    lists = {
        split: [name for name in names if (root / name).is_file()] for split, names in LISTS.items()
    }
    if lists['train']:
        return _described_images(said, lists)
    return split_by_folders(filter(is_image, list_files(root)), root), [], []


def _described_images(
    said: Description, splits: dict[str, list[str]]
) -> tuple[dict[str, list[Path]], list[Finding], list[str]]:
    """Return the images in the folders and lists of each split."""
    findings: list[Finding] = []
    notes: list[str] = []
    images: dict[str, list[Path]] = {}
    places: dict[Path, tuple[str, str]] = {}
    for split, entries in splits.items():
        found: dict[Path, None] = {}
        for entry in entries:
            place = resolve(entry, said.folders)
            if place is None:
                text = f'{said.place}: {split}: {entry} was not found in {shorten(said.folders)}'
                if split != 'test':
                    raise MissingFileError(f'{text}. Correct the path')
                notes.append(f'{text}, so there is no test split')
                continue
            # Roboflow writes ../train/images into a file that lies beside train/
            inside = resolve(entry.lstrip('./\\'), said.folders) if entry[:2] == '..' else None
            if inside and inside.resolve() != place.resolve():
                raise InputError(
                    f'{said.place}: {split}: {entry} could be {place} or {inside}. Write the whole '
                    'path'
                )
            before = places.setdefault(place, (split, entry))
            if before[1] != entry:
                raise InputError(
                    f'{said.place}: {before[0]}: {before[1]} and {split}: {entry} are both {place} '
                    'on this computer. Correct the paths'
                )
            listed, missing = _listed(place, said.folders)
            found.update(dict.fromkeys(listed))
            notes.append(f'{split}: {len(listed)} images of {place}')
            if missing:
                total = len(missing) + len(listed)
                text = (
                    f'{place} lists {len(missing)} of {total} images that are missing, left out: '
                    f'{shorten(missing)}. Add them, or take them out of the list'
                )
                findings.append(Finding(left_out_kind(len(missing), total), split, text))
        images[split] = list(found)
    if not images['train']:
        raise InputError(f'{said.place}: {shorten(splits["train"])} holds no image. Add the images')
    return images, findings, notes


def _listed(place: Path, folders: list[Path]) -> tuple[list[Path], list[str]]:
    """Return the images in a folder, or in a text file; and those that are missing."""
    if place.is_dir():
        return [file for file in list_files(place) if is_image(file)], []
    lines = [line.strip() for line in read_text(place).splitlines() if line.strip()]
    found = {line: resolve(line, [place.parent, *folders]) for line in lines}
    missing = [line for line, path in found.items() if path is None]
    return [path for path in found.values() if path is not None], missing


def find_labels(image: Path) -> Path | None:
    """Return the label file of an image, or ``None``."""
    return next((path for path in _label_paths(image) if path.is_file()), None)


def _label_paths(image: Path) -> list[Path]:
    """Return where a label file may be: in ``labels`` for ``images``, or beside the image."""
    folders = [image.parent]
    parts = image.parent.parts
    last = next((i for i in reversed(range(len(parts))) if parts[i].lower() == 'images'), None)
    if last is not None:
        names = ('labels', 'Labels', 'LABELS')
        if parts[last] != 'images':
            names = names[::-1] if parts[last] == 'IMAGES' else ('Labels', 'labels', 'LABELS')
        folders = [Path(*parts[:last], name, *parts[last + 1 :]) for name in names] + folders
    stems = dict.fromkeys(
        (image.stem, *(unicodedata.normalize(form, image.stem) for form in ('NFC', 'NFD')))
    )
    return [
        folder / f'{stem}{ending}'
        for folder in folders
        for stem in stems
        for ending in ('.txt', '.TXT')
    ]


def _lone_labels(items: Iterable[Item], said: Description) -> list[Path]:
    """Return the label files without an image."""
    stems: dict[Path, set[str]] = {}
    folders: dict[Path, set[Path]] = {}
    for item in items:
        if item.labels:
            folders.setdefault(item.labels.parent, set()).add(item.image.parent)
    for labels, images in folders.items():
        stems[labels] = {
            composed(path.stem) for folder in images for path in folder.iterdir() if is_image(path)
        }
    return [
        path
        for folder, known in stems.items()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == '.txt'
        and composed(path.stem) not in known
        and not path.name.startswith('.')
        and path.name.lower() not in (*CLASS_FILES, *sum(LISTS.values(), ()))
        and not path.name.lower().startswith('readme')
        and path != said.place
    ]
