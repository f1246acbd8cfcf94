"""A user's own data in CVAT's own format, "CVAT for images 1.1": XML files that list images.

::

    DIR/annotations.xml   DIR/images/a.jpg

Boxes, polygons, ellipses and masks are read, as CVAT's documentation describes them
(docs.cvat.ai, "CVAT XML"). ``subset`` of an image is its split. The order of the classes is that of
the labels in the file.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from pycocotools import mask as coco_mask

from ..data_checks.foreign_formats import root_tag
from ..errors import InputError
from .data_folder import SPLITS, list_files
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather
from .shapes import around, ellipse, rle_to_text, turn_box

READ = ('box', 'polygon', 'ellipse', 'mask')
LEFT_OUT = ('polyline', 'points', 'cuboid', 'skeleton', 'tag')


def find_cvat(files: list[Path]) -> list[Path]:
    """Return the files in this format."""
    return [f for f in files if f.suffix.lower() == '.xml' and root_tag(f) == 'annotations']


def read_cvat(root: Path) -> LabelledImages:
    """Return the images and objects of a folder.

    Raises:
        ValueError: If a file is of a video, or cannot be read.
    """
    entries: list[Listed] = []
    classes: dict[str, None] = {}
    for file in find_cvat(list_files(root)):
        try:
            tree = ElementTree.parse(file).getroot()
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise InputError(f'{file} is not XML ({error}). Export it again') from error
        if tree.find('track') is not None:
            raise InputError(
                f'{file} is in the format "CVAT for video", which names no images. Export the task '
                'again as COCO 1.0 with "Save images"'
            )
        for label in tree.findall('meta//labels/label'):
            if not label.findtext('parent'):  # a part of a skeleton
                classes[(label.findtext('name') or '').strip()] = None
        entries += [_entry(file, node) for node in tree.findall('image')]
    drawn = {name for entry in entries for name in entry.names}
    return gather(root, entries, classes=list(classes) if drawn <= set(classes) else ())


def _entry(file: Path, node: ElementTree.Element) -> Listed:
    marked = [child for child in node if child.tag in READ]
    left_out = [f'shape of type {child.tag}' for child in node if child.tag in LEFT_OUT]
    subset = node.get('subset', '').lower()
    split = next((split for split, names in SPLITS.items() if subset in names), '')

    def read(_size: Size) -> Labels:
        try:
            width, height = int(node.get('width', '')), int(node.get('height', ''))
        except ValueError as error:
            raise InputError('the image has no width and height') from error
        shapes = [_shape(child, (width, height)) for child in marked]
        return Labels(shapes, (width, height), left_out)

    return Listed(file, node.get('name', ''), read, [_name(child) for child in marked], split)


def _name(node: ElementTree.Element) -> str:
    return node.get('label', '').strip()


def _shape(node: ElementTree.Element, size: Size) -> Shape:
    """Return an object in pixels."""
    if node.tag == 'mask':
        return _mask(node, size)
    if node.tag == 'polygon':
        points = [_numbers(pair.split(',')) for pair in node.get('points', '').split(';')]
        corners = [(x, y) for x, y in points]
        return Shape(_name(node), around(corners), [[v for point in corners for v in point]])
    turn = math.radians(_numbers([node.get('rotation', '0')])[0])
    if node.tag == 'ellipse':
        x, y, rx, ry = _numbers([node.get(key, '') for key in ('cx', 'cy', 'rx', 'ry')])
        corners = ellipse((x, y), rx, ry, turn)
        return Shape(_name(node), around(corners), [[v for point in corners for v in point]])
    left, top, right, bottom = _numbers([node.get(k, '') for k in ('xtl', 'ytl', 'xbr', 'ybr')])
    if left > right or top > bottom:
        raise InputError(f'a box with a maximum under its minimum: {node.attrib}')
    if not turn:
        return Shape(_name(node), (left, top, right, bottom))
    corners = turn_box((left, top, right, bottom), turn)
    return Shape(_name(node), around(corners), [[v for point in corners for v in point]])


def _numbers(texts: Sequence[str]) -> list[float]:
    try:
        values = [float(text) for text in texts]
    except ValueError as error:
        raise InputError(f'{list(texts)} are not numbers') from error
    if not all(map(math.isfinite, values)):
        raise InputError(f'{list(texts)} are not finite')
    return values


def _mask(node: ElementTree.Element, size: Size) -> Shape:
    """Return the mask in a box: lengths of runs along its rows, the first of pixels outside."""
    left, top, w, h = (
        int(v) for v in _numbers([node.get(k, '') for k in ('left', 'top', 'width', 'height')])
    )
    runs = [int(v) for v in _numbers(node.get('rle', '').split(','))]
    width, height = size
    if min(left, top, *runs) < 0 or sum(runs) != w * h or left + w > width or top + h > height:
        raise InputError(
            f'a mask of {sum(runs)} pixels in {w}x{h} at {left}, {top} of an image of '
            f'{width}x{height}'
        )
    whole = np.zeros((height, width), np.uint8, order='F')
    bits = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    whole[top : top + h, left : left + w] = bits.reshape(h, w)
    if not whole.any():
        raise InputError('a mask without a pixel')
    rle = coco_mask.encode(whole)
    x, y, w, h = coco_mask.toBbox(rle).tolist()
    return Shape(_name(node), (x, y, x + w, y + h), rle=rle_to_text(rle))
