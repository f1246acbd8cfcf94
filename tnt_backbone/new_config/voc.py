"""A user's own data in Pascal VOC's format: an XML file per image, with boxes.

::

    DIR/Annotations/a.xml   DIR/JPEGImages/a.jpg   DIR/ImageSets/Main/{train,val,test}.txt   VOC
    DIR/annots/a.xml        DIR/images/a.jpg                                    any folders
    DIR/train/a.xml         DIR/train/a.jpg        DIR/valid/...                Roboflow
    DIR/a.xml               DIR/a.jpg                                           LabelImg

Boxes are those of MMDetection's ``XMLDataset``, which counts pixels from 1 and subtracts 1 from
each coordinate. Fractions of pixels, which it cuts off, are kept.
"""

import math
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from ..data_checks.findings import Finding, shorten
from ..data_checks.foreign_formats import is_labelme_xml, root_tag
from ..errors import InputError
from .class_names import choose_classes
from .data_folder import (
    by_stem,
    composed,
    is_image,
    list_files,
    read_text,
    split_by_folders,
)
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
from .shapes import around, turn_box

LISTS = {'train': ('train', 'trainval'), 'val': ('val',), 'test': ('test',)}  # in ImageSets/Main
FROM_0 = ('Label Studio',)  # <owner> of files whose coordinates count from 0
CLASS_FILES = ('classes.txt', 'labels.txt', 'predefined_classes.txt')


def is_voc(path: Path) -> bool:
    """Return whether an XML file is an annotation of Pascal VOC."""
    return root_tag(path) == 'annotation' and not is_labelme_xml(path)


def read_voc(root: Path) -> LabelledImages:
    """Return the images and boxes of a folder.

    Raises:
        ValueError: If the lists of splits or the names of classes do not fit the XML files.
    """
    files = list_files(root)
    labels: dict[Path, Labels | UnusableError] = {}
    names_in: dict[Path, str] = {}  # <filename>
    owners: set[str] = set()
    for path in (file for file in files if file.suffix.lower() == '.xml'):
        try:
            tree = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, ValueError, LookupError) as error:  # of its encoding
            labels[path] = UnusableError('label cannot be read', f'it is not XML ({error})')
            continue
        if tree.tag != 'annotation':
            continue
        names_in[path] = (tree.findtext('filename') or '').strip().replace('\\', '/')
        owners.add((tree.findtext('owner/name') or '').strip())
        try:
            labels[path] = _read_xml(tree)
        except UnusableError as error:
            labels[path] = error
    if labels and all(isinstance(found, UnusableError) for found in labels.values()):
        path, why = next(iter(labels.items()))
        raise InputError(
            f'None of the {len(labels)} XML files of --data {root} can be read. {path}: {why}. '
            'Objects need <name>, and <bndbox> with <xmin>, <ymin>, <xmax> and <ymax>'
        )
    images = [file for file in files if is_image(file)]
    items, findings, notes = _pair(labels, names_in, images)
    shift, note = _count_from(labels, owners)
    classes, more = _classes(root, labels)

    def read(path: Path, _image: Path, size: Size) -> Labels:
        found = labels[path]
        if isinstance(found, UnusableError):
            raise found
        return Labels([_shifted(shape, shift) for shape in found.shapes], found.size)

    splits, unlisted = _split(root, files, items)
    notes = [note, *more, *notes]
    return LabelledImages(root, splits, read, classes, notes, [*findings, *unlisted])


def _shifted(shape: Shape, shift: int) -> Shape:
    left, top, right, bottom = shape.box
    return shape._replace(box=(left - shift, top - shift, right - shift, bottom - shift))


def _read_xml(tree: ElementTree.Element) -> Labels:
    """Return the objects with boxes as they are written."""
    shapes = []
    for number, node in enumerate(tree.findall('object'), 1):
        name = (node.findtext('name') or '').strip()
        texts = [node.findtext(f'bndbox/{key}') for key in ('xmin', 'ymin', 'xmax', 'ymax')]
        said = {a.findtext('name'): a.findtext('value') for a in node.iter('attribute')}
        try:
            left, top, right, bottom = (float(value or 'nan') for value in texts)
            turn = math.radians(float(said.get('rotation') or 0))
        except ValueError:
            left = top = right = bottom = turn = math.nan
        if not name or not math.isfinite(left + top + right + bottom + turn):
            text = f'object {number} has the <name> {name!r} and the <bndbox> {texts}'
            raise UnusableError('label cannot be read', text)
        if left > right or top > bottom:
            text = (
                f'object {number} has a maximum under its minimum: {texts} (xmin, ymin, xmax, ymax)'
            )
            raise UnusableError('label cannot be read', text)
        if turn:  # CVAT's box is that before the rotation
            left, top, right, bottom = around(turn_box((left, top, right, bottom), turn))
        difficult = (node.findtext('difficult') or '0').strip().lower() in ('1', 'true')
        shapes.append(Shape(name, (left, top, right, bottom), is_ignored=difficult))
    try:
        width, height = (int(float(tree.findtext(f'size/{k}') or 0)) for k in ('width', 'height'))
    except (ValueError, OverflowError):
        width = height = 0
    return Labels(shapes, (width, height) if width > 0 and height > 0 else None)


def _count_from(labels: dict[Path, Labels | UnusableError], owners: set[str]) -> tuple[int, str]:
    """Return 1 if coordinates count from 1, as VOC's do, else 0; and a note."""
    if owners and owners <= {*FROM_0}:
        return 0, (
            f'coordinates count from 0, as those of {shorten(owners)} do: nothing was subtracted, '
            "other than in MMDetection's XMLDataset"
        )
    # below 0 is no pixel, whatever counts
    lowest = [
        (value, path)
        for path, found in labels.items()
        if isinstance(found, Labels)
        for shape in found.shapes
        for value in shape.box[:2]
        if value >= 0
    ]
    if lowest and min(lowest)[0] < 1:
        value, path = min(lowest)
        return 0, (
            f'coordinates count from 0, since there is {value:g} (in {path}): nothing was '
            "subtracted, other than in MMDetection's XMLDataset"
        )
    return 1, (
        "coordinates count from 1, as Pascal VOC's: 1 was subtracted from each, as MMDetection's "
        'XMLDataset does'
    )


def _pair(
    labels: dict[Path, Labels | UnusableError], names_in: dict[Path, str], images: list[Path]
) -> tuple[list[Item], list[Finding], list[str]]:
    """Find the image of each XML file: the one of the file's own name, else of ``<filename>``."""
    stems = by_stem(images)
    items: list[Item] = []
    lone: list[Path] = []
    names: dict[str, list[Path]] = {}
    for image in images:
        names.setdefault(composed(image.name).lower(), []).append(image)
    renamed = []
    for path in labels:
        inside = composed(names_in.get(path, '').rpartition('/')[2])
        own = nearest(stems.get(composed(path.stem), []), path, inside)
        named = names.get(inside.lower()) or stems.get(Path(inside).stem) or []
        found = own or nearest(named, path, inside)
        if found is None:
            lone.append(path)
            continue
        if inside and inside.lower() != composed(found.name).lower():
            renamed.append(f'{path} (<filename> {inside})')
        items.append(Item(found, path))
    times = Counter(str(item.image) for item in items)
    twice = [name for name, number in times.items() if number > 1]
    if twice:
        raise InputError(
            f'{len(twice)} images have several XML files: {shorten(twice)}. Keep one for each'
        )
    notes = []
    if renamed:
        notes.append(
            f'{len(renamed)} XML files name another image in <filename> ({shorten(renamed)}): the '
            'image that has the name of the XML file is taken, as MMDetection does'
        )
    used = {item.image for item in items}
    # SegmentationClass/ and its like hold other pictures of the same names
    folders = {image.parent for image in used}
    bare = [image for image in images if image not in used and image.parent in folders]
    advice = 'If they show none of the classes, add an XML file without <object>'
    return items, find_without_partner(bare, lone, 'left out', advice), notes


def _classes(root: Path, labels: dict[Path, Labels | UnusableError]) -> tuple[list[str], list[str]]:
    """Return the names in a list of classes, else those in the XML files, sorted; and a note."""
    times = Counter(
        shape.name
        for found in labels.values()
        if isinstance(found, Labels)
        for shape in found.shapes
    )
    return choose_classes(root, times, CLASS_FILES)


def _split(
    root: Path, files: list[Path], items: list[Item]
) -> tuple[dict[str, list[Item]], list[Finding]]:
    """Return the splits of ``ImageSets/Main``, else of folders named train, val and test."""
    places = sorted({file.parent for file in files if file.parts[-3:-1] == ('ImageSets', 'Main')})
    if len(places) > 1:
        raise InputError(
            f'--data {root} has several lists of splits: {shorten(places, 8)}. Pass a folder that '
            'has one'
        )
    lists = places[0] if places else root / 'ImageSets' / 'Main'
    by_ending = _by_ending(items)
    splits: dict[str, list[Item]] = {}
    findings = []
    for split, names in LISTS.items():
        path = next((p for p in (lists / f'{name}.txt' for name in names) if p.is_file()), None)
        if path is None:
            continue
        wanted = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
        found = {name: _find_listed(name, by_ending, path) for name in wanted}
        splits[split] = [item for item in found.values() if item is not None]
        if missing := [name for name, item in found.items() if item is None]:
            text = (
                f'{path} lists {len(missing)} of {len(found)} names without an XML file or an '
                f'image, left out: {shorten(missing)}. Add them, or take them out of the list'
            )
            findings.append(Finding(left_out_kind(len(missing), len(found)), split, text))
    if splits and 'train' not in splits:
        raise InputError(f'{lists} has no train.txt or trainval.txt. Add one')
    if splits:
        used = {item.image for listed in splits.values() for item in listed}
        if unused := [str(item.labels) for item in items if item.image not in used]:
            text = f'{len(unused)} XML files are in none of its lists, left out ({shorten(unused)})'
            findings.append(Finding('image left out', str(lists), text))
        return splits, findings
    by_image = {item.image: item for item in items}
    by_folder = split_by_folders(by_image, root)
    return {name: [by_image[i] for i in images] for name, images in by_folder.items()}, []


def _by_ending(items: list[Item]) -> dict[str, list[Item]]:
    """Return the items by all endings of the paths of their XML files: ``a``, ``folder/a``, ..."""
    found: dict[str, list[Item]] = {}
    for item in items:
        if item.labels:
            parts = item.labels.with_suffix('').parts
            for i in range(len(parts)):
                found.setdefault('/'.join(parts[i:]), []).append(item)
    return found


def _find_listed(name: str, by_ending: dict[str, list[Item]], place: Path) -> Item | None:
    """Return the item that a line of a list names, with or without folders and ending."""
    parts = [part for part in name.replace('\\', '/').split('/') if part.strip('.')]
    for i in range(len(parts)):
        ending = '/'.join(parts[i:])
        found = by_ending.get(ending) or by_ending.get(str(Path(ending).with_suffix(''))) or []
        if len(found) > 1:
            raise InputError(
                f'{place}: {name} could be {shorten([item.labels for item in found])}. Write the '
                'name with its folder'
            )
        if found:
            return found[0]
    return None
