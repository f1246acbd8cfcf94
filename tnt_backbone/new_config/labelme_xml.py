"""A user's own data of LabelMe's web tool, or "LabelMe 3.0" of CVAT: an XML file per image.

::

    DIR/Annotations/users/me/set/a.xml   DIR/Images/users/me/set/a.jpg    LabelMe
    DIR/train/a.xml                      DIR/train/a.jpg                  CVAT

Polygons and boxes are read. Their coordinates count from 0. Objects that were deleted in the tool
are passed over, and masks in other files are left out.
"""

import math
from pathlib import Path
from xml.etree import ElementTree

from ..data_checks.foreign_formats import is_labelme_xml
from ..errors import InputError
from .data_folder import list_files
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather
from .shapes import Points, around

BOX = 'bounding_box'  # <type> of four corners that are no outline
CORNERS = 3  # of a polygon, at least


def find_labelme_xml(files: list[Path]) -> list[Path]:
    """Return the files in this format."""
    return [file for file in files if file.suffix.lower() == '.xml' and is_labelme_xml(file)]


def read_labelme_xml(root: Path) -> LabelledImages:
    """Return the images and objects of a folder.

    Raises:
        ValueError: If a file cannot be read, or the images cannot be told.
    """
    entries = map(_entry, find_labelme_xml(list_files(root)))
    return gather(root, entries, per_image=True)


def _entry(file: Path) -> Listed:
    try:
        tree = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f'{file} is not XML ({error}). Export it again') from error
    there = [node for node in tree.findall('object') if _text(node, 'deleted') != '1']
    outlined = [node for node in there if len(node.findall('polygon/pt')) >= CORNERS]
    left_out = [
        'mask in another file' if node.find('segm') is not None else 'point or line'
        for node in there
        if node not in outlined
    ]

    def read(_size: Size) -> Labels:
        sides = [_text(tree, f'imagesize/{key}') for key in ('ncols', 'nrows')]
        size = [int(side) for side in sides if side.isdecimal() and int(side)]
        shapes = [_shape(node) for node in outlined]
        return Labels(shapes, (size[0], size[1]) if len(size) == 2 else None, left_out)

    name = f'{_text(tree, "folder")}/{_text(tree, "filename")}'
    return Listed(file, name, read, list(filter(None, map(_name, outlined))))


def _text(node: ElementTree.Element, place: str) -> str:
    return (node.findtext(place) or '').strip()


def _name(node: ElementTree.Element) -> str:
    return _text(node, 'name')


def _shape(node: ElementTree.Element) -> Shape:
    points: Points = []
    for point in node.findall('polygon/pt'):
        try:
            x, y = float(_text(point, 'x')), float(_text(point, 'y'))
        except ValueError as error:
            raise InputError(f'a point of {_name(node)!r} is no pair of numbers') from error
        points.append((x, y))
    if not _name(node) or not all(math.isfinite(value) for point in points for value in point):
        raise InputError(f'an object without a name, or with other values than numbers: {points}')
    if _text(node, 'type') == BOX:
        return Shape(_name(node), around(points))
    return Shape(_name(node), around(points), [[value for point in points for value in point]])
