"""A user's own data in Supervisely's format, which Dataset Ninja writes too.

::

    DIR/meta.json   DIR/train/img/a.jpg   DIR/train/ann/a.jpg.json   DIR/val/...

Rectangles, polygons and bitmaps are read (docs.supervisely.com, "Supervisely annotation format").
The order of the classes is that of ``meta.json``.
"""

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ..data_checks.foreign_formats import is_supervisely, is_supervisely_meta
from ..data_checks.label_maps import UNREADABLE
from ..errors import InputError
from .coco_folder import read_json
from .data_folder import SPLITS, list_files
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather
from .shapes import around, rle_to_text

READ = ('rectangle', 'polygon', 'bitmap')
LARGEST = 2**30  # bytes of a mask that is unpacked


def find_supervisely(files: list[Path]) -> list[Path]:
    """Return the files of images in this format."""
    listed = [f for f in files if f.suffix.lower() == '.json' and f.parent.name == 'ann']
    return [file for file in listed if is_supervisely(read_json(file))]


def read_supervisely(root: Path) -> LabelledImages:
    """Return the images and objects of a folder.

    Raises:
        ValueError: If the images or classes cannot be told.
    """
    files = list_files(root)
    metas = [file for file in files if file.name == 'meta.json']
    contents = [content for file in metas if is_supervisely_meta(content := read_json(file))]
    listed = [
        str(entry['title']).strip()
        for content in contents
        for entry in content['classes']
        if entry['shape'] in (*READ, 'any')
    ]
    entries = [_entry(file, read_json(file)) for file in find_supervisely(files)]
    splits = {entry.split for entry in entries}
    if '' in splits or len(splits) < 2:  # a tag may also say that a picture shows a train
        entries = [entry._replace(split='') for entry in entries]
    used = {name for entry in entries for name in entry.names}
    classes = list(dict.fromkeys(listed)) if used <= set(listed) else ()
    return gather(root, entries, classes=classes, per_image=True)


def _entry(file: Path, content: dict[str, Any]) -> Listed:
    objects = [entry for entry in content['objects'] if isinstance(entry, dict)]
    marked = [entry for entry in objects if entry.get('geometryType') in READ]
    left_out = [f'object of type {o.get("geometryType")}' for o in objects if o not in marked]
    names = [str(entry.get('classTitle', '')).strip() for entry in marked]
    place = f'{file.parent.parent.name}/img/{file.stem}'

    def read(_size: Size) -> Labels:
        try:
            size = int(content['size']['width']), int(content['size']['height'])
            shapes = [_shape(o, name, size) for o, name in zip(marked, names, strict=True)]
        except (KeyError, TypeError, OverflowError, zlib.error, *UNREADABLE) as error:
            raise InputError(f'an object is not as Supervisely writes it ({error})') from error
        return Labels(shapes, size, left_out)

    return Listed(file, place, read, [name for name in names if name], _split_in_tags(content))


def _split_in_tags(content: dict[str, Any]) -> str:
    """Return the split that a tag of an image names, if exactly one does."""
    tags = content.get('tags')
    listed = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    named = {str(tag.get('name')).lower() for tag in listed}
    found = [split for split, known in SPLITS.items() if named & {*known}]
    return found[0] if len(found) == 1 else ''


def _shape(entry: dict[str, Any], name: str, size: Size) -> Shape:
    """Return an object in pixels."""
    if not name:
        raise InputError('an object has no classTitle')
    if entry['geometryType'] == 'bitmap':
        return _bitmap(entry['bitmap'], name, size)
    points = [(float(x), float(y)) for x, y in entry['points']['exterior']]
    if entry['geometryType'] == 'rectangle':
        left, top, right, bottom = around(points)
        return Shape(name, (left, top, right + 1, bottom + 1))  # the last pixel belongs to it
    outline = [value for point in points for value in point]
    holes = [[(float(x), float(y)) for x, y in hole] for hole in entry['points']['interior']]
    if not holes or len(points) < 3:
        return Shape(name, around(points), [outline])
    whole = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([outline], size[1], size[0])))
    for hole in holes:
        flat = [value for point in hole for value in point]
        whole &= 1 - coco_mask.decode(
            coco_mask.merge(coco_mask.frPyObjects([flat], size[1], size[0]))
        )
    return _of_mask(name, whole)


def _bitmap(bitmap: dict[str, Any], name: str, size: Size) -> Shape:
    """Return a mask: a packed PNG, and where its corner lies."""
    packed = zlib.decompressobj().decompress(base64.b64decode(bitmap['data']), LARGEST)
    with Image.open(io.BytesIO(packed)) as image:
        part = np.asarray(image.convert('RGBA'))[..., 3 if 'A' in image.mode else 0] > 0
    left, top = (int(value) for value in bitmap['origin'])
    width, height = size
    if min(left, top) < 0 or left + part.shape[1] > width or top + part.shape[0] > height:
        raise InputError(f'a bitmap at {left}, {top} that leaves the image')
    whole = np.zeros((height, width), np.uint8)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return _of_mask(name, whole)


def _of_mask(name: str, whole: np.ndarray) -> Shape:
    if not whole.any():
        raise InputError('a mask without a pixel')
    rle = coco_mask.encode(np.asfortranarray(whole))
    x, y, w, h = coco_mask.toBbox(rle).tolist()
    return Shape(name, (x, y, x + w, y + h), rle=rle_to_text(rle))
