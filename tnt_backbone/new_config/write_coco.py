"""Boxes and masks of any format, written as files in COCO's format.

Every image is opened once, as the libraries will open it. What cannot be trained on is left out and
named.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pycocotools import mask as coco_mask
from tqdm import tqdm

from ..data_checks.findings import Finding, notes_unless_error, shorten
from ..errors import ExistingFileError, InputError
from ..whole_file import write_whole
from .labelled import (
    REASONS,
    Item,
    LabelledImages,
    Shape,
    Size,
    UnusableError,
    left_out_kind,
    to_rle,
)
from .opened import Opened, open_image
from .outside import Seen, find_outside

REPEATED = 'label that repeats another one of its image'
MADE_BY = 'made by tools/new_config.py from '


def write_coco(data: LabelledImages, stem: Path, *, overwrite: bool = False) -> 'CocoPaths':
    """Write one file in COCO's format per split.

    Args:
        data: Images and labels.
        stem: Start of the names of the files: ``STEM_coco_train.json``, ``STEM_coco_val.json``,
            ``STEM_coco_test.json``; or ``STEM_coco.json`` if there is only one split.
        overwrite: Whether files of these names are replaced that were not made from the same data.

    Raises:
        ValueError: If no object is left, more than a tenth of the images cannot be used, or a class
            has no name.
        FileExistsError: If a file of these names exists that this function did not write.
    """
    data.splits = {split: items for split, items in data.splits.items() if items}
    if 'train' not in data.splits:
        why = ' '.join(finding.text for finding in data.findings)
        raise InputError(f'--data {data.root} has no image to train on. {why}')
    alone = len(data.splits) == 1
    paths = {
        split: stem.with_name(f'{stem.name}_coco{"" if alone else f"_{split}"}.json')
        for split in data.splits
    }
    for path in paths.values():
        if not overwrite:
            require_own(path)
    images = _common_folder([item.image for items in data.splits.values() for item in items])
    places = {split: [i.image.resolve() for i in items] for split, items in data.splits.items()}
    findings = [*data.findings, *find_shared(places)]
    contents = {}
    for split, items in data.splits.items():
        contents[split], found = _to_coco(data, items, images, split)
        findings += found
        if not any(not box['iscrowd'] for box in contents[split]['annotations']):
            findings.append(_find_nothing(split, len(items), len(contents[split]['annotations'])))
    if 'test' in contents and not contents['test']['annotations']:
        del contents['test'], paths['test']
    notes = [*data.notes, *notes_unless_error(findings)]
    for split, path in paths.items():
        write_whole(path, json.dumps(contents[split]))
        counted = Counter(bool(box['iscrowd']) for box in contents[split]['annotations'])
        ignored = f', {counted[True]} ignored ones' if counted[True] else ''
        notes.append(
            f'{path}: {len(contents[split]["images"])} images, {counted[False]} objects{ignored}'
        )
    return CocoPaths(paths, images, notes)


def _find_nothing(split: str, number: int, ignored: int) -> Finding:
    if ignored and split != 'test':
        text = (
            f'all {ignored} objects in its {number} images are marked as ones that are not trained '
            'on (difficult or crowds). If they are single objects, correct the marks'
        )
        return Finding('no box to train on', split, text)
    text = f'none of its {number} images shows an object'
    if split == 'test':  # of many data sets, its labels are not published
        return Finding('image without annotation', split, f'{text}, so it is left out')
    text += '. Add label files with objects, or put the label files where they are looked for'
    return Finding('no box to train on', split, text)


def _common_folder(images: list[Path]) -> Path:
    folders = {image.parent for image in images}
    if len({folder.is_absolute() for folder in folders}) > 1:
        folders = {folder.absolute() for folder in folders}
    return Path(os.path.commonpath(folders) or '.')


class CocoPaths(NamedTuple):
    """The files that were written.

    Attributes:
        files: One per split.
        images: The folder that the names of images in the files start from.
        notes: What the user should know, one line each.
    """

    files: dict[str, Path]
    images: Path
    notes: list[str]


def is_made_here(content: Any) -> bool:
    """Return whether ``write_coco`` made the content of a JSON file."""
    info = content.get('info') if isinstance(content, dict) else None
    return isinstance(info, dict) and str(info.get('description')).startswith(MADE_BY)


def require_own(path: Path) -> None:
    """Check that a file may be written: there is none, or ``write_coco`` made it.

    Raises:
        FileExistsError: If there is one of somebody else.
    """
    if not path.exists():
        return
    try:
        own = is_made_here(json.loads(path.read_bytes()))
    except ValueError:
        own = False
    if not own:
        raise ExistingFileError(
            f"{path} exists, and the annotations in COCO's format would be written there. Pass "
            'another name than OUT.py, or --force'
        )


def find_shared(splits: Mapping[str, Sequence[Path]]) -> list[Finding]:
    """Return the images that are in two splits: the measure would be too good."""
    findings = []
    trained = set(splits.get('train', ()))
    for split in ('val', 'test'):
        if both := [image for image in splits.get(split, ()) if image in trained]:
            text = (
                f'{len(both)} of {len(splits[split])} images of the {split} split are also in the '
                f'training split ({shorten(both)}). The model would be measured on what it was '
                'trained on. Take them out of one of the two'
            )
            findings.append(Finding('image in two splits', split, text))
    return findings


def _to_coco(
    data: LabelledImages, items: list[Item], images: Path, split: str
) -> tuple[dict[str, Any], list[Finding]]:
    content: dict[str, Any] = {
        'info': {'description': f'{MADE_BY}{data.root}'},
        'images': [],
        'annotations': [],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(data.classes, 1)],
    }
    numbers = {name: i for i, name in enumerate(data.classes, 1)}
    left_out: dict[str, list[str]] = {}
    dropped: Counter[str] = Counter()
    turned: list[str] = []
    seen: list[Seen] = []
    for item, result in zip(items, _open_all(data, items, split), strict=True):
        if isinstance(result, UnusableError):
            place = item.image if result.reason == 'image cannot be read' else item.labels
            name = os.path.relpath(place or item.image, data.root)
            if place and place.stem != item.image.stem:
                name += f' ({item.image.name})'
            left_out.setdefault(result.reason, []).append(f'{name}: {result}')
            continue
        dropped.update(result.left_out)
        turned += [str(item.image)] if result.is_turned else []
        number = len(content['images']) + 1
        content['images'].append(
            {
                'id': number,
                'file_name': Path(os.path.relpath(item.image, images)).as_posix(),
                'width': result.size[0],
                'height': result.size[1],
            }
        )
        shapes = {repr(shape): shape for shape in result.shapes}
        if len(shapes) < len(result.shapes):
            dropped[REPEATED] += len(result.shapes) - len(shapes)
        for shape in shapes.values():
            seen.append(Seen(content['images'][-1]['file_name'], shape.box, result.size))
            box = {
                'id': len(content['annotations']) + 1,
                'image_id': number,
                'category_id': numbers[shape.name],
                **_to_annotation(shape, result.size),
            }
            content['annotations'].append(box)
    found = _find_left_out(left_out, len(items), split)
    found += [
        Finding('label left out', split, f'{number} labels are left out, each a {what}')
        for what, number in dropped.items()
    ]
    found += find_outside(seen, split, data.form)
    if turned:
        text = (
            f'{len(turned)} images are turned by EXIF ({shorten(turned)}). Their labels are taken '
            'to fit the turned picture, which viewers show. No size tells whether they do. Look at '
            'some with tnt browse CONFIG. If the boxes lie elsewhere, store the pictures turned '
            '(ImageOps.exif_transpose of Pillow) and draw the boxes again'
        )
        found.append(Finding('image that is turned by EXIF', split, text))
    return content, found


def _open_all(data: LabelledImages, items: list[Item], split: str) -> list[Opened | UnusableError]:
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            opened = pool.map(lambda item: open_image(data, item), items)
            return list(tqdm(opened, f'images of {split}', total=len(items), disable=None))
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the others


def _to_annotation(shape: Shape, size: Size) -> dict[str, Any]:
    """Return what COCO says of one object; its box is clipped to the image."""
    left, top, right, bottom = (
        min(max(value, 0), limit) for value, limit in zip(shape.box, size * 2, strict=True)
    )
    return {
        'bbox': [left, top, right - left, bottom - top],
        'area': _area(shape, size) or (right - left) * (bottom - top),
        'iscrowd': int(shape.is_ignored),
        'segmentation': shape.rle or list(shape.polygons),
    }


def _area(shape: Shape, size: Size) -> float:
    """Return the number of pixels of the mask; 0 without one."""
    rle = to_rle(shape, size)
    return float(coco_mask.area(rle)) if rle else 0.0


def _find_left_out(left_out: dict[str, list[str]], total: int, split: str) -> list[Finding]:
    findings = []
    number = sum(map(len, left_out.values()))
    for reason, places in left_out.items():
        text = (
            f'{len(places)} of {total} images are left out, {reason}: {shorten(places)}. '
            f'{REASONS[reason]}'
        )
        unnamed = reason == 'class id without a name'
        kind = reason if unnamed else left_out_kind(number, total)
        findings.append(Finding(kind, split, text))
    return findings
