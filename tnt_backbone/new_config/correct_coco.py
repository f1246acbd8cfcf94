"""Correct COCO files that annotation tools export, in a copy beside the file.

Only parts with one possible meaning are corrected. If a part could be meant in two ways,
``data_checks/coco.py`` refuses the file.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..data_checks.coco_file import load_json
from ..data_checks.coco_values import is_finite
from ..data_checks.findings import shorten
from ..errors import InputError
from ..whole_file import write_whole
from .correct_sizes import sizes_of_files
from .correct_values import (
    boxes,
    crowds,
    flat_polygons,
    names_of_categories,
    repeated,
    run_lengths,
    sizes,
    turned_boxes,
)

Content = dict[str, Any]
NAMES = ('id', 'image_id', 'category_id', 'file_name', 'name', 'supercategory')


# ../../label-studio/data/media/upload/1/a.jpg, /data/upload/1/a.jpg, /data/local-files/?d=a.jpg
LABEL_STUDIO = re.compile(r'(^|/)label-studio/|^/data/(upload/|local-files/\?d=)')


def correct_coco(
    path: Path, classes: Sequence[str] | None = None, images: Path | None = None
) -> tuple[Path, list[str]]:
    """Write a corrected copy beside a COCO file, if it needs one.

    Args:
        path: The file.
        classes: Names and order of the categories that the file shall have: those of the training
            file.
        images: The folder of the images, if the user named it.

    Returns:
        The file to use, which is ``path`` itself or ``NAME_corrected.json``, and the changes, one
        line per change.

    Raises:
        ValueError: If the file is not JSON, or not in COCO's format, or if it says no sizes of its
            images, and several folders have them.
        FileNotFoundError: If it says no sizes, and no folder has the images.
    """
    content, is_plain = load_json(path)
    lists = ('images', 'annotations', 'categories')
    if not isinstance(content, dict) or not all(
        isinstance(content.get(name), list) and all(map(_has_simple_names, content[name]))
        for name in lists
    ):
        return path, []  # the reader says what is missing
    # others look at the same content
    content = {**content, **{name: [dict(entry) for entry in content[name]] for name in lists}}
    changes = [] if is_plain else ['it is written as plain UTF-8']
    for correct in CORRECTIONS:
        changes += correct(content)
    changes += _set_classes(content, classes)
    changes += sizes_of_files(content, path, images)
    if not changes:
        return path, []
    corrected = path.with_name(f'{path.stem}_corrected.json')
    try:
        write_whole(corrected, json.dumps(content))
    except OSError as error:
        raise InputError(
            f'{path} needs corrections, but the corrected copy cannot be written ({error}). Copy '
            'the file into a folder of your own, pass it as --data, and the folder of its images '
            'as --images'
        ) from error
    return corrected, [f'{corrected}: {change}' for change in changes]


def _has_simple_names(entry: Any) -> bool:
    """Return whether an entry's names and ids are texts or numbers, or are missing."""
    return isinstance(entry, dict) and all(
        isinstance(entry.get(key), str | int | float | None) for key in NAMES
    )


def _paths_of_windows(content: Content) -> list[str]:
    images = [image for image in content['images'] if '\\' in str(image.get('file_name', ''))]
    for image in images:
        image['file_name'] = image['file_name'].replace('\\', '/')
    return [f'{len(images)} file names had backslashes'] if images else []


def _paths_of_label_studio(content: Content) -> list[str]:
    """Keep the last part of paths on Label Studio's server, if it is another one in each image."""
    images = [
        image
        for image in content['images']
        if isinstance(name := image.get('file_name'), str) and LABEL_STUDIO.search(name)
    ]
    names = {image['file_name']: unquote(image['file_name']).rpartition('/')[2] for image in images}
    if not images or len(set(names.values())) < len(names):
        return []
    for image in images:
        image['file_name'] = names[image['file_name']]
    return [f"{len(images)} file names were paths on Label Studio's server"]


def _names_from_addresses(content: Content) -> list[str]:
    """Take the last folder and the file of ``coco_url``: LVIS has no ``file_name``."""
    images = [
        image
        for image in content['images']
        if 'file_name' not in image and '/' in str(image.get('coco_url', ''))
    ]
    for image in images:
        image['file_name'] = '/'.join(str(image['coco_url']).split('/')[-2:])
    return [f'{len(images)} images got the names in their coco_url'] if images else []


def _types_of_ids(content: Content) -> list[str]:
    """Give ids the type of what they refer to: "1" and 1 are not equal for MMDetection.

    The name of a category instead of its id is replaced, too, unless it may be an id.
    """
    changes = []
    for section, key in (('images', 'image_id'), ('categories', 'category_id')):
        known = {entry.get('id') for entry in content[section]}
        by_id = {str(value): value for value in known}
        by_name = {str(e['name']): e.get('id') for e in content[section] if 'name' in e}
        others = [
            entry
            for entry in content['annotations']
            if entry.get(key) is not None and entry[key] not in known
        ]
        texts = {entry[key] for entry in others if isinstance(entry[key], str)}
        if any(by_id.get(name, value) != value for name, value in by_name.items()):
            # a class "1" whose id is 0: all texts are names, or none is
            of_texts = by_name if texts <= {*by_name} and not texts <= {*by_id} else by_id
        else:
            of_texts = by_name | by_id
        wrong = 0
        for entry in others:
            # a number is no name
            meant = of_texts if isinstance(entry[key], str) else by_id
            if str(entry[key]) in meant:
                entry[key] = meant[str(entry[key])]
                wrong += 1
        if wrong:
            changes.append(f'{wrong} annotations had {key} of another type than the ids')
    return changes


def _annotation_ids(content: Content) -> list[str]:
    """COCO's evaluation takes id 0 for "none", compares ids as numbers, and needs each once."""
    ids = [entry.get('id') for entry in content['annotations']]
    usable = all(is_finite(value) and value > 0 for value in ids)
    if usable and len(set(ids)) == len(ids):
        return []
    for number, entry in enumerate(content['annotations'], 1):
        entry['id'] = number
    return ['the annotations were numbered anew, from 1 (ids were 0, texts, missing or not unique)']


def _images_listed_twice(content: Content) -> list[str]:
    """One file under several ids would be trained on with a part of its boxes each time.

    Files of other sizes are other pictures, whose folders are missing in their names.
    """
    first: dict[Any, Any] = {}
    other: dict[Any, Any] = {}
    for image in content['images']:
        picture = image.get('file_name'), image.get('width'), image.get('height')
        if picture in first:
            other[image.get('id')] = first[picture]
        else:
            first[picture] = image.get('id')
    if not other:
        return []
    content['images'] = [image for image in content['images'] if image.get('id') not in other]
    for entry in content['annotations']:
        entry['image_id'] = other.get(entry.get('image_id'), entry.get('image_id'))
    return [f'{len(other)} images were listed again under another id; their boxes were joined']


def _categories_of_one_name(content: Content) -> list[str]:
    """Roboflow writes a category 0 that may have the name of a class; MMDetection counts it."""
    changes = []
    used = Counter(entry.get('category_id') for entry in content['annotations'])
    names = Counter(category.get('name') for category in content['categories'])
    twice = [name for name, number in names.items() if number > 1]
    if twice:
        keep: dict[Any, Any] = {}
        ids: dict[Any, Any] = {}
        for category in sorted(content['categories'], key=lambda c: not used[c.get('id')]):
            name = category.get('name')
            keep.setdefault(name, category.get('id'))
            ids[category.get('id')] = keep[name]
        kept = [c for c in content['categories'] if c['id'] in keep.values()]
        content['categories'] = list({(c['id'], c.get('name')): c for c in kept}.values())
        for entry in content['annotations']:
            entry['category_id'] = ids.get(entry.get('category_id'), entry.get('category_id'))
        changes.append(f'categories of one name were joined: {shorten(twice)}')
    parents = {category.get('supercategory') for category in content['categories']}
    groups = [
        category
        for category in content['categories']
        if category.get('name') in parents
        and not used[category.get('id')]
        and category.get('name') != category.get('supercategory')
    ]
    if groups and len(groups) < len(content['categories']):
        content['categories'] = [c for c in content['categories'] if c not in groups]
        names_of = shorten([category['name'] for category in groups])
        changes.append(f'categories that only group others were left out: {names_of}')
    return changes


def _set_classes(content: Content, classes: Sequence[str] | None) -> list[str]:
    """Give a validation file the categories of the training file, in their order."""
    if classes is None:
        return []
    names = [category.get('name') for category in content['categories']]
    if names == list(classes) or not set(names) <= set(classes):
        return []  # equal, or refused later
    by_name = {category['name']: category for category in content['categories']}
    taken = {category['id'] for category in content['categories']}
    free = iter(number for number in range(1, 10**9) if number not in taken)
    content['categories'] = [
        by_name.get(name) or {'id': next(free), 'name': name} for name in classes
    ]
    return ['the categories were put into the order of the training file, missing ones added']


CORRECTIONS: tuple[Callable[[Content], list[str]], ...] = (
    _paths_of_windows,
    _paths_of_label_studio,
    _names_from_addresses,
    _types_of_ids,
    _annotation_ids,
    crowds,
    sizes,
    names_of_categories,
    flat_polygons,
    run_lengths,
    boxes,
    turned_boxes,
    _images_listed_twice,
    repeated,
    _categories_of_one_name,
)
