"""Sizes of images that a COCO file does not say, or says as they are stored before EXIF turns them.

Both can be seen in the images only. The corrections are written to a copy beside the file.
"""

import json
from pathlib import Path
from typing import Any

from ..data_checks.coco_file import read_coco
from ..data_checks.coco_values import SIDE, Entry
from ..data_checks.findings import shorten
from ..data_checks.image_headers import READ_BEFORE_A_RUN, Header, read_header
from ..errors import InputError, UserError
from ..whole_file import write_whole
from .coco import find_images, find_places
from .labelled import Shape
from .opened import TURNS, turn_shape


def sizes_of_files(content: dict[str, Any], path: Path, images: Path | None) -> list[str]:
    """Give images without a usable size that of their files, as the libraries read them.

    Label Studio writes ``null`` for images that it cannot open, and VIA 3 writes -1.

    Args:
        content: Of the COCO file; it is changed.
        path: The file.
        images: The folder of the images, if the user named it.

    Returns:
        What was changed, in one line; nothing if there was nothing to change.

    Raises:
        FileNotFoundError: If there is no folder with all images.
        ValueError: If several folders have them.
    """
    unknown = [
        image
        for image in content['images']
        if not all(SIDE.fits(image.get(key)) for key in ('width', 'height'))
    ]
    names = [image.get('file_name') for image in content['images']]
    if not unknown or not all(isinstance(name, str) and name for name in names):
        return []
    places = [images] if images else find_places(path, names)
    if len(places) > 1:
        raise InputError(
            f'{path} does not say the sizes of its images, and several folders hold all of them: '
            f'{shorten(places, 8)}. Name the right one with --images, or --val-images for the '
            'validation split'
        )
    number = 0
    for image in unknown:
        if header := read_header(places[0] / image['file_name']):
            image['height'], image['width'] = header.size
            number += 1
    return [f'{number} images had no size and got that of their files'] if number else []


def turn_with_exif(path: Path, original: Path, images: Path | None) -> tuple[Path, list[str]]:
    """Turn boxes and polygons of images that were labelled as they are stored.

    The size in the file tells: it is that of the stored picture, and EXIF exchanges its sides.

    Args:
        path: The COCO file.
        original: The user's, of which it may be a copy.
        images: The folder of the images, if the user named it.

    Returns:
        The file to use, and what was changed.
    """
    file = read_coco(path)
    try:
        folder = find_images(file, images)
    except UserError:
        return path, []  # said by who needs them
    entries = list(file.images.values())
    some = entries[:: max(1, len(entries) // READ_BEFORE_A_RUN)]
    if not any(_was_stored(image, read_header(folder / image['file_name'])) for image in some):
        return path, []
    turns: dict[Any, int] = {}
    for image in entries:
        header = read_header(folder / image['file_name'])
        if header and _was_stored(image, header):
            turns[image['id']] = header.turn
    # run lengths of a mask are not turned: the checks refuse their images
    for box in file.boxes:
        if isinstance(box.get('segmentation'), dict):
            turns.pop(box['image_id'], None)
    if not turns:
        return path, []
    content = file.content | {
        'images': [_exchanged(image) if image['id'] in turns else image for image in entries],
        'annotations': [
            _turned(box, turns[box['image_id']], file.images[box['image_id']])
            if box['image_id'] in turns
            else box
            for box in file.boxes
        ],
    }
    target = original.with_name(f'{original.stem}_corrected.json')
    write_whole(target, json.dumps(content))
    text = f'the boxes of {len(turns)} images were turned as EXIF turns the images'
    return target, [f'{target}: {text}']


def _was_stored(image: Entry, header: Header | None) -> bool:
    """Return whether a size is that of the picture before EXIF exchanges its sides."""
    return bool(
        header
        and header.turn in TURNS
        and header.size == (image['width'], image['height'])
        and image['width'] != image['height']
    )


def _exchanged(image: Entry) -> Entry:
    return {**image, 'width': image['height'], 'height': image['width']}


def _turned(box: Entry, turn: int, image: Entry) -> Entry:
    x, y, width, height = box['bbox']
    shape = Shape('', (x, y, x + width, y + height), box.get('segmentation') or ())
    shape = turn_shape(shape, turn, (image['width'], image['height']))
    left, top, right, bottom = shape.box
    changed: Entry = {'bbox': [left, top, right - left, bottom - top]}
    if box.get('segmentation'):
        changed['segmentation'] = shape.polygons
    return {**box, **changed}
