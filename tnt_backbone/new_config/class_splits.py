"""Lists of the images of each split, where folders name the classes.

::

    DIR/meta/train.txt  DIR/meta/test.txt   DIR/images/<class>/   Food-101: apple_pie/1005649
    DIR/train.txt       DIR/val.txt         DIR/<class>/          cat/1.jpg, a line per image
"""

from pathlib import Path

from ..data_checks.findings import shorten
from ..errors import InputError
from .class_columns import MOST, Images
from .coco_folder import split_of
from .data_folder import list_files, read_text, some_of_each_folder


def read_split_lists(root: Path) -> tuple[dict[str, dict[Path, str]], list[str]]:
    """Return the images that lists name, and the folder of each, by split; and notes.

    A list is a ``.txt`` file whose name has that of a split. Each line has the folder and the name
    of an image, with or without its ending.

    Raises:
        ValueError: If a split has several lists, or most images of one are not there.
    """
    files = list_files(root)
    images = Images(files, root)
    parts: dict[str, dict[Path, str]] = {}
    sources: dict[str, Path] = {}
    notes = []
    for file in some_of_each_folder([path for path in files if path.suffix.lower() == '.txt']):
        split = split_of(Path(file.name), Path())
        names = read_text(file).splitlines() if split else []
        names = [name.strip().replace('\\', '/') for name in names if name.strip()]
        if not names or not all('/' in name for name in names):
            continue
        found = {name: _in_its_folder(name, images) for name in names}
        missing = [name for name, image in found.items() if image is None]
        if len(missing) == len(found):
            continue
        if split in sources:
            raise InputError(
                f'{sources[split]} and {file} both list images of the {split} split. Move the one '
                f'that does not count out of {root}'
            )
        if missing:
            text = (
                f'{len(missing)} of {len(found)} images that {file} lists are not in {root} '
                f'({shorten(missing)})'
            )
            if len(missing) > MOST * len(found):
                raise InputError(f'{text}. Add the images')
            notes.append(f'{text}. They are left out')
        sources[split] = file
        parts[split] = {image: image.parent.name for image in found.values() if image}
        notes.append(f'the {split} split is that of {file}; the classes are the folders of images')
    if twice := _twice(parts):
        raise InputError(
            f'{twice} is in two of {shorten(sources.values(), 8)}. Delete one of the lines: what '
            'was trained on cannot judge'
        )
    return parts, notes


def _in_its_folder(name: str, images: Images) -> Path | None:
    """Return the only image of a name whose folder is that of the name."""
    folder = name.split('/')[-2]
    there = [image for image in images.called(name) if image.parent.name == folder]
    return there[0] if len(there) == 1 else None


def _twice(parts: dict[str, dict[Path, str]]) -> Path | None:
    """Return an image that is in two splits."""
    seen: set[Path] = set()
    for images in parts.values():
        if both := seen & images.keys():
            return min(both)
        seen |= images.keys()
    return None
