"""A user's own data of the VGG Image Annotator (VIA) 1 and 2: projects, JSON and CSV exports.

::

    DIR/train/via_region_data.json   DIR/train/a.jpg   DIR/val/...
    DIR/via_project.json             DIR/images/a.jpg
    DIR/via_export_csv.csv           DIR/a.jpg

Rectangles, circles, ellipses and polygons are read. The class of a region is its one attribute, or
the one of several that is called class, label, name or type.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..data_checks.coco_values import is_finite
from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import first_row, is_via, is_via_table
from ..errors import InputError
from .class_names import check_class_names
from .coco_folder import read_json
from .data_folder import list_files, read_text
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather
from .shapes import Points, around, ellipse

CLASS_ATTRIBUTES = ('class', 'label', 'name', 'type', 'category', 'class_name', 'object')
LEFT_OUT = ('point', 'polyline', 'line')
ONLY_CLASS = 'object'  # of regions without an attribute
Region = tuple[dict[str, Any], dict[str, Any]]  # shape and attributes


def find_via(files: list[Path]) -> list[Path]:
    """Return the files in this format."""
    return [
        file
        for file in files
        if (file.suffix.lower() == '.json' and is_via(read_json(file)))
        or (file.suffix.lower() == '.csv' and is_via_table(first_row(file)))
    ]


def read_via(root: Path) -> LabelledImages:
    """Return the images and objects of a folder.

    Raises:
        ValueError: If it is not clear which attribute names the class.
    """
    regions: dict[tuple[Path, str], list[Region]] = {}
    for file in find_via(list_files(root)):
        read = _from_table if file.suffix.lower() == '.csv' else _from_json
        for name, found in read(file):
            regions.setdefault((file, name), []).extend(found)
    attribute = _class_attribute(root, regions)
    if attribute:
        note = f'classes: the attribute {attribute!r} of the regions'
    else:
        note = f'the regions have no attribute with a class: all are of one class, {ONLY_CLASS!r}'
    titles = _titles(root, regions, attribute)
    entries = [
        _entry(file, name, found, attribute, titles) for (file, name), found in regions.items()
    ]
    return gather(root, entries, classes=list(titles.values()), notes=[note])


def _from_json(file: Path) -> list[tuple[str, list[Region]]]:
    content = read_json(file)
    images = content.get('_via_img_metadata', content)
    rows = []
    for image in images.values():
        listed = image['regions']
        listed = list(listed.values()) if isinstance(listed, dict) else listed
        rows.append((str(image['filename']), [_region(entry, file) for entry in listed]))
    return rows


def _region(entry: Any, file: Path) -> Region:
    shape = entry.get('shape_attributes') if isinstance(entry, dict) else None
    attributes = entry.get('region_attributes') if isinstance(entry, dict) else None
    if not isinstance(shape, dict) or not isinstance(attributes, dict):
        raise InputError(f'{file} has a region without shape and attributes: {str(entry)[:120]}')
    return shape, attributes


def _from_table(file: Path) -> list[tuple[str, list[Region]]]:
    rows = []
    for row in csv.DictReader(read_text(file).splitlines()):
        values = {str(key).lstrip('#').strip(): value for key, value in row.items()}
        try:
            shape = json.loads(values['region_shape_attributes'] or '{}')
            attributes = json.loads(values['region_attributes'] or '{}')
        except (TypeError, ValueError) as error:
            raise InputError(f'{file}: {str(row)[:120]} is no row of VIA ({error})') from error
        found = [_region({'shape_attributes': shape, 'region_attributes': attributes}, file)]
        rows.append((str(values.get('filename')), found if shape else []))
    return rows


def _class_attribute(root: Path, regions: dict[tuple[Path, str], list[Region]]) -> str | None:
    """Return the attribute that names the class of a region, or ``None`` if there is none."""
    times = Counter(
        key
        for found in regions.values()
        for _, attributes in found
        for key, value in attributes.items()
        if _text(value)
    )
    if not times:
        return None
    named = [key for key in times if key.strip().lower() in CLASS_ATTRIBUTES]
    if len(times) == 1:
        return next(iter(times))
    if len(named) == 1:
        return named[0]
    raise InputError(
        f'The regions of --data {root} have the attributes {shorten(times, 8)}, and which one is '
        "the class is not clear. Export COCO's format from VIA, or call the right one 'class'"
    )


def _titles(
    root: Path, regions: dict[tuple[Path, str], list[Region]], attribute: str | None
) -> dict[str, str]:
    """Return the names that projects give to classes which are numbers: the options of a dropdown.

    Raises:
        ValueError: If projects name them in different ways.
    """
    values = {_text(a.get(attribute or '')) for found in regions.values() for _, a in found} - {''}
    found: dict[Path, dict[str, str]] = {}
    for file in {file for file, _ in regions if file.suffix.lower() == '.json'}:
        options: Any = read_json(file)
        for key in ('_via_attributes', 'region', attribute or '', 'options'):
            options = options.get(key) if isinstance(options, dict) else None
        if isinstance(options, dict) and values <= options.keys() and all(options.values()):
            found[file] = {str(number): str(name).strip() for number, name in options.items()}
    titles = next(iter(found.values()), {})
    if not values or not titles or not all(map(str.isdecimal, values)):
        return {}
    if any(named != titles for named in found.values()):
        raise InputError(
            f'The options of {attribute!r} differ in {shorten(found, 8)} of --data {root}. Make '
            'them equal'
        )
    check_class_names(list(titles.values()), next(iter(found)))
    return titles


def _text(value: Any) -> str:
    """Return an attribute's value; of a checkbox, the only box that is marked."""
    if isinstance(value, dict):
        marked = [key for key, is_marked in value.items() if is_marked is True]
        value = marked[0] if len(marked) == 1 else ''
    return str(value).strip() if isinstance(value, str | int) else ''


def _entry(
    file: Path, name: str, found: list[Region], attribute: str | None, titles: dict[str, str]
) -> Listed:
    areas = [region for region in found if region[0].get('name') not in LEFT_OUT]
    left_out = [
        f'region of type {shape.get("name")}' for shape, _ in found if shape.get('name') in LEFT_OUT
    ]
    names = [_text(a.get(attribute)) if attribute else ONLY_CLASS for _, a in areas]
    names = [titles.get(name, name) for name in names]

    def read(_size: Size) -> Labels:
        if '' in names:
            raise InputError(f'region {names.index("") + 1} has no value of {attribute!r}')
        shapes = [_shape(shape, name) for (shape, _), name in zip(areas, names, strict=True)]
        return Labels(shapes, left_out=left_out)

    return Listed(file, name, read, list(filter(None, names)))


def _shape(shape: dict[str, Any], name: str) -> Shape:
    """Return an object in pixels."""
    kind = shape.get('name')
    if kind == 'rect':
        x, y, width, height = _numbers(shape, 'x', 'y', 'width', 'height')
        return Shape(name, (x, y, x + width, y + height))
    points: Points
    if kind == 'circle':
        x, y, radius = _numbers(shape, 'cx', 'cy', 'r')
        points = ellipse((x, y), radius, radius)
    elif kind == 'ellipse':
        x, y, rx, ry = _numbers(shape, 'cx', 'cy', 'rx', 'ry')
        turn = shape.get('theta', 0)
        points = ellipse((x, y), rx, ry, turn if is_finite(turn) else 0.0)
    elif kind == 'polygon':
        xs, ys = shape.get('all_points_x'), shape.get('all_points_y')
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or not xs:
            raise InputError(f'a polygon without all_points_x and all_points_y: {str(shape)[:120]}')
        if not all(map(is_finite, [*xs, *ys])):
            raise InputError(f'a polygon with other values than numbers: {str(shape)[:120]}')
        points = list(zip(xs, ys, strict=True))
    else:
        raise InputError(f'a region of type {kind!r}')
    return Shape(name, around(points), [[value for point in points for value in point]])


def _numbers(shape: dict[str, Any], *keys: str) -> list[float]:
    values = [shape.get(key) for key in keys]
    if not all(map(is_finite, values)) or any(v is None or v < 0 for v in values[2:]):
        raise InputError(f'a {shape.get("name")} without the numbers {", ".join(keys)}: {shape}')
    return [float(value) for value in values if value is not None]
