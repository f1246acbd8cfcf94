"""A user's own data in LabelMe's format: a JSON file per image, with shapes in pixels.

::

    DIR/a.json   DIR/a.jpg                      LabelMe
    DIR/train/a.json   DIR/train/a.jpg   DIR/val/...      with splits

``imagePath`` names the image, as seen from the JSON file; an image that is only in ``imageData`` is
written to a file. Shapes of one label and ``group_id`` are one object. What is read is described in
LabelMe's documentation (github.com/wkentaro/labelme); none of its code, which is GPL, is used.
"""

import base64
import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from ..data_checks.findings import Finding, shorten
from ..data_checks.label_maps import UNREADABLE
from ..data_checks.places import leads_away
from ..errors import ExistingFileError, InputError
from .class_names import choose_classes
from .data_folder import composed, is_image, list_files, split_by_folders
from .labelled import (
    Item,
    LabelledImages,
    Labels,
    Size,
)
from .labelme_shapes import LEFT_OUT, NO_CLASS, label_of, read_shapes
from .pairs import find_without_partner, nearest

CLASS_FILES = ('labels.txt', 'classes.txt')


def is_labelme(content: Any) -> bool:
    """Return whether the content of a JSON file is in LabelMe's format."""
    return (
        isinstance(content, dict)
        and isinstance(content.get('shapes'), list)
        and 'imagePath' in content
    )


def read_labelme(root: Path, extracted: Path) -> LabelledImages:
    """Return the images and shapes of a folder.

    Args:
        root: The folder.
        extracted: Where images are written that are only in JSON files.

    Raises:
        ValueError: If an image has several JSON files.
        FileExistsError: If another image lies where one would be written.
    """
    files = list_files(root)
    images = [file for file in files if is_image(file)]
    by_name: dict[str, list[Path]] = {}
    for image in images:
        by_name.setdefault(composed(image.name).lower(), []).append(image)
        by_name.setdefault(f'{composed(image.stem).lower()}.', []).append(image)
    contents: dict[Path, dict[str, Any]] = {}
    items: list[Item] = []
    lone: list[Path] = []
    written: list[Path] = []
    for path in (file for file in files if file.suffix.lower() == '.json'):
        content = _load(path)
        if content is not None and not is_labelme(content):
            continue
        found = _find_image(path, content or {}, by_name, root)
        if found is None and content and content.get('imageData'):
            found = _extract(path, content, root, extracted)
            written.append(path)
        if found is None:
            lone.append(path)
            continue
        contents[path] = {
            key: value for key, value in (content or {}).items() if key != 'imageData'
        }
        items.append(Item(found, path))
    _require_one_each(items)
    times = Counter(
        label_of(shape)
        for content in contents.values()
        for shape in content.get('shapes', [])
        if label_of(shape) and shape.get('shape_type') not in LEFT_OUT
    )
    for name in NO_CLASS:
        del times[name]
    classes, notes = choose_classes(root, times, CLASS_FILES, NO_CLASS)
    if written:
        notes.append(f'{len(written)} images that are only in JSON files are in {extracted}')
    used = {item.image for item in items}
    folders = {image.parent for image in used}
    bare = [image for image in images if image not in used and image.parent in folders]
    advice = 'If they show none of the classes, save a JSON file without shapes for each'
    findings: list[Finding] = find_without_partner(bare, lone, 'left out', advice)
    by_labels = {item.labels: item for item in items}
    splits = {
        split: [by_labels[path] for path in paths]
        for split, paths in split_by_folders((i.labels for i in items if i.labels), root).items()
    }

    def read(path: Path, _image: Path, size: Size) -> Labels:
        return read_shapes(contents[path], size)

    return LabelledImages(root, splits, read, classes, notes, findings)


def _load(path: Path) -> dict[str, Any] | None:
    """Return the content of a JSON file, or ``None`` if it is damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else {}


def _find_image(
    path: Path, content: dict[str, Any], by_name: dict[str, list[Path]], root: Path
) -> Path | None:
    """Return the image that ``imagePath`` names, else the one of the JSON file's own name."""
    written = str(content.get('imagePath') or '').replace('\\', '/')
    name = composed(written.rpartition('/')[2]).lower()
    if name and os.path.isfile(path.parent / written):
        if leads_away(written, str(path.parent), (str(root), str(root.absolute().parent))):
            raise InputError(
                f'{path}: imagePath is {written}, which leads out of --data {root}. If you trust '
                'the file, pass a folder that holds both as --data'
            )
        wanted = (path.parent / written).resolve()
        same = [image for image in by_name.get(name, []) if image.resolve() == wanted]
        return same[0] if same else path.parent / written
    named = nearest(by_name.get(name, []), path) if name else None
    return named or nearest(by_name.get(f'{composed(path.stem).lower()}.', []), path, name)


def _extract(path: Path, content: dict[str, Any], root: Path, folder: Path) -> Path | None:
    """Write the image in a JSON file to a file; return its path, or ``None`` if it is damaged."""
    try:
        data = base64.b64decode(content['imageData'], validate=True)
        with Image.open(io.BytesIO(data)) as image:
            ending = {'JPEG': '.jpg', 'PNG': '.png'}.get(str(image.format), '.png')
    except (TypeError, *UNREADABLE):
        return None
    target = folder / path.relative_to(root).with_suffix(ending)
    if target.exists() and target.read_bytes() != data:
        raise ExistingFileError(
            f'{target} exists, and the image in {path} would be written there. Delete {folder}, or '
            'pass another name than OUT.py'
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def _require_one_each(items: list[Item]) -> None:
    labels: dict[Path, list[str]] = {}
    for item in items:
        labels.setdefault(item.image, []).append(str(item.labels))
    if twice := {image: paths for image, paths in labels.items() if len(paths) > 1}:
        image, paths = next(iter(twice.items()))
        raise InputError(
            f'{len(twice)} images have several JSON files, such as {image}: {shorten(paths)}. '
            'Correct imagePath in them, or keep one for each image'
        )
