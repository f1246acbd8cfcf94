"""Names of the classes of label maps, and the colours to draw them in."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from ..data_checks.findings import shorten
from ..data_checks.label_maps import HOW_TO_RELABEL, IGNORED
from ..errors import InputError
from .class_names import check_class_names, in_order_of_numbers
from .coco_folder import read_json
from .data_folder import SAMPLED, is_image, read_text
from .mask_colours import Colours, is_void

ADE20K = re.compile(r'ADE_(train|val|test|frame)_\d+')
LARGEST = 1_000_000  # bytes of a JSON file that names classes
LISTS = ('classes.txt', 'class_names.txt', 'labels.txt')  # the second is of labelme2voc
COUNTS = 3  # different numbers of objects, from which on labels seem to count them


def name_labels(
    root: Path, files: Mapping[int, list[str]], colours: Colours | None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names that a file gives, else numbers of the labels; and notes."""
    used = set(files) - {IGNORED}
    listed = root / LISTS[0]
    notes = []
    tables = sorted(root.glob('*/_classes.csv'))
    if not colours and not tables:  # the numbers are those of a table, if there is one
        listed = find_list(root) or listed
    if not used:
        raise InputError(
            f'The label maps hold nothing but {IGNORED}, which is ignored. {HOW_TO_RELABEL}'
        )
    has_names = bool(listed.is_file() or colours or tables)
    in_json = [] if has_names else _names_in_json(root)
    if not listed.is_file() and (has_names or in_json):
        if colours:
            names, place = tuple(colours.classes), colours.place
        elif tables:
            names, place = _names_in_tables(tables), tables[0]
        else:
            place, names = in_json[0]
        notes.append(f'classes in the order of {place}')
        if max(used) >= len(names):
            raise InputError(
                f'{place} names {len(names)} classes, labels 0 to {len(names) - 1}, but the label '
                f'maps have {max(used)} too ({shorten(files[max(used)])}). {HOW_TO_RELABEL}'
            )
    elif listed.is_file():
        names = _lines(listed)
        if listed.name != LISTS[0]:
            notes.append(f'classes in the order of {listed}')
        if in_order := in_order_of_numbers(names):
            names = tuple(in_order)
            notes.append(f'{listed}: the numbers before the names give the order, and are left out')
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f'{listed} names {shorten(twice)} twice. Give each class its own name')
        if used == set(range(1, len(names) + 1)):
            moved = ' '.join(f'{label}={label - 1}' for label in sorted(used))
            raise InputError(
                f'The label maps hold 1 to {len(names)}, and {listed} names {len(names)} classes. '
                f'Labels begin at 0. Pass --label-map {moved}. If 1 is the second of the names, '
                'name one more class'
            )
        if max(used) >= len(names):
            raise InputError(
                f'{listed} names {len(names)} classes, labels 0 to {len(names) - 1}, but the label '
                f'maps have {max(used)} too ({shorten(files[max(used)])}). The first line names '
                f'label 0, such as background; pixels of no class are {IGNORED}. {HOW_TO_RELABEL}'
            )
    elif names := _names_of_voc(root, used):
        notes.append("classes: Pascal VOC's, as the objects in Annotations are of these")
    else:
        names = tuple(f'class {label}' for label in range(max(used) + 1))
        if used == set(range(1, len(used) + 1)):
            moved = ' '.join(f'{label}={label - 1}' for label in sorted(used))
            raise InputError(
                f'The label maps hold 1 to {len(used)}, and labels begin at 0. Pass --label-map '
                f'{moved}. If 0 is a class that no image shows, name all classes, one per line, in '
                f'{listed}'
            )
        if absent := sorted(set(range(max(used))) - used):
            raise InputError(
                f'The label maps hold {shorten(sorted(used), 8)}, but no {shorten(absent)}. Name '
                f'all classes, one per line, in {listed}. {HOW_TO_RELABEL}'
            )
    notes += _note_of_void(names, used)
    if len(names) < 2:
        raise InputError(
            f'The label maps know one class, {names[0]!r}, so there is nothing to tell apart. '
            f'Write 0 for the background and 1 for the class; {IGNORED} is ignored. '
            f'{HOW_TO_RELABEL}'
        )
    return names, notes


def find_list(root: Path) -> Path | None:
    """Return the file with one name of a class per line, if there is one.

    COCO-Stuff's ``labels.txt`` is none: it begins with what its label maps have as 255.
    """
    for name in LISTS:
        file = root / name
        if not file.is_file():
            continue
        names = _lines(file)
        if name == LISTS[0] or (names and not is_void(names[0].lstrip('0123456789:;,. \t'))):
            return file
    return None


def _lines(file: Path) -> tuple[str, ...]:
    """Return the lines that are not empty, without LabelMe's mark of no class."""
    lines = map(str.strip, read_text(file).splitlines())
    return tuple(line for line in lines if line and line != '__ignore__')


def _names_of_voc(root: Path, used: set[int]) -> tuple[str, ...]:
    """Return the names of Pascal VOC's label maps, if the folder is VOC's own; else nothing."""
    from mmseg.datasets import PascalVOCDataset

    names = tuple(PascalVOCDataset.METAINFO['classes'])
    drawn: set[str] = set()
    for path in sorted((root / 'Annotations').glob('*.xml'))[:SAMPLED]:
        try:
            objects = ElementTree.parse(path).findall('object/name')
        except (ElementTree.ParseError, ValueError, LookupError):
            return ()
        drawn |= {(node.text or '').strip() for node in objects}
    is_voc = drawn and drawn <= set(names) and used == set(range(len(names)))
    return names if is_voc and (root / 'ImageSets/Segmentation').is_dir() else ()


def _note_of_void(names: tuple[str, ...], used: set[int]) -> list[str]:
    void = [label for label, name in enumerate(names) if is_void(name) and label in used]
    if not void:
        return []
    left = [label for label in range(len(names)) if label not in void]
    moves = [(label, IGNORED) for label in void]
    moves += [(old, new) for new, old in enumerate(left) if old != new]
    text = ' '.join(f'{old}={new}' for old, new in moves)
    return [
        f'label {shorten(void)} is a class like the others, although it is called '
        f'{shorten(names[label] for label in void)}. To ignore its pixels, take the name out of '
        f'the list, and pass --label-map {text}'
    ]


def check_objects(root: Path, files: Mapping[int, list[str]]) -> None:
    """Check that the numbers are classes, and do not count the objects of each image.

    Such masks have 1 to n in an image of n objects. A model would learn that the third pedestrian
    is another class than the second.

    Args:
        root: The folder of the data; names in its ``classes.txt`` say that they are classes.
        files: The label maps that hold each label.

    Raises:
        ValueError: If they seem to count.
    """
    labels: dict[str, set[int]] = {}
    for label, paths in files.items():
        for path in paths:
            labels.setdefault(path, set()).add(label)
    most = [max(found - {IGNORED}, default=0) for found in labels.values()]
    counts = all(
        found - {0, IGNORED} == set(range(1, n + 1))
        for found, n in zip(labels.values(), most, strict=True)
    )
    if counts and len(set(most)) >= COUNTS and not find_list(root):
        numbers = ' '.join(f'{label}=1' for label in range(2, max(most) + 1))
        raise InputError(
            f'The label maps of {root} hold 1 to n, and n is from {min(most)} to {max(most)}. So '
            'the numbers seem to count the objects of an image, which are no classes. To tell all '
            f'objects from the background, pass --label-map {numbers}. For masks of single '
            "objects, make annotations in COCO's format and start --from a config of Mask R-CNN. "
            f'If they are classes, name them in {root / "classes.txt"}, one per line'
        )


def check_ade20k(root: Path, images: Sequence[Path]) -> None:
    """Check that data are not ADE20K's, whose label 0 is no class, but what has no label.

    Args:
        root: The folder of the data; names in its ``classes.txt`` say what the numbers are.
        images: The images to train on.

    Raises:
        ValueError: If all images have names of ADE20K.
    """
    if find_list(root) or not all(ADE20K.fullmatch(path.stem) for path in images):
        return
    raise InputError(
        f'{root} has images of ADE20K ({shorten(path.name for path in images)}). In its label maps '
        '0 is no class, and 1 is the first one. Start --from a config of ADE20K without --data, '
        'such as configs/upernet_tnt_s_ade20k.py, and link the folder to '
        'data/ade/ADEChallengeData2016 (docs/datasets.md). If these label maps are others, '
        'name the classes in '
        f'{root / "classes.txt"}, one per line, label 0 first. To ignore label 0 of them, also '
        'pass --label-map 0=255 1=0 2=1 ...'
    )


def _names_in_tables(tables: list[Path]) -> tuple[str, ...]:
    """Return the names in Roboflow's ``_classes.csv``: rows of a pixel value and a name.

    Raises:
        ValueError: If they differ, or a value has no name.
    """
    found = {}
    for table in tables:
        rows = [line.split(',', 1) for line in read_text(table).splitlines()]
        pairs = {
            int(row[0]): row[1].strip()
            for row in rows
            if row[0].strip().isdecimal() and len(row[0]) < 7 and len(row) == 2
        }
        found[table] = tuple(name for _, name in sorted(pairs.items()))
        if sorted(pairs) != list(range(len(pairs))):
            raise InputError(f'{table} has the pixel values {sorted(pairs)}. Name 0, 1, 2, ...')
        check_class_names(list(found[table]), table)
    if len(set(found.values())) > 1:
        raise InputError(f'The names of classes differ in {shorten(found, 8)}. Make them equal')
    return found[tables[0]]


def _names_in_json(root: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Return the JSON file that names the numbers from 0 on, and its names; else nothing.

    Such files are ``class_id_to_name.json`` of labelformat (``{"0": "background"}``), and
    ``id2label.json`` or ``label2id.json`` of Hugging Face.

    Raises:
        ValueError: If several files differ.
    """
    found = []
    for file in sorted(root.glob('*.json')):
        if file.stat().st_size < LARGEST and (names := _numbered_names(read_json(file))):
            check_class_names(list(names), file)
            found.append((file, names))
    if len({names for _, names in found}) > 1:
        listed = shorten((file for file, _ in found), 8)
        raise InputError(f'The names of classes differ in {listed}. Make them equal')
    return found


def _numbered_names(content: Any) -> tuple[str, ...]:
    """Return the names of a dict of numbers and names, or of names and numbers, from 0 on."""
    pairs = list(content.items()) if isinstance(content, dict) else []
    for some in (pairs, [(number, name) for name, number in pairs]):
        named = {str(number): name for number, name in some}
        are_names = all(isinstance(n, str) and not is_image(Path(n)) for n in named.values())
        if are_names and len(named) > 1 and {*named} == {str(i) for i in range(len(named))}:
            return tuple(named[str(i)].strip() for i in range(len(named)))
    return ()


def read_palette(path: Path, number: int) -> list[list[int]]:
    """Return the colours of a label map with a palette, one per class, or nothing."""
    with Image.open(path) as image:
        colours = (image.getpalette() or []) if image.mode == 'P' else []
    if len(colours) < 3 * number:
        return []
    return [colours[3 * i : 3 * i + 3] for i in range(number)]
