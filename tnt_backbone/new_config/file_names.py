"""File names of a COCO file that say more or less than those of the images that are there."""

import itertools
import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from ..data_checks.coco_file import read_coco
from ..errors import InputError, MissingFileError
from ..whole_file import write_whole
from .coco import find_images, folders_in, sizes_fit
from .data_folder import is_image
from .mask_folders import LABELS


def match_file_names(path: Path, original: Path, images: Path | None) -> tuple[Path, list[str]]:
    """Give images the names of the files that are there, in a copy beside a COCO file.

    Names may be whole paths of another computer, addresses, written with ``%20`` for a space, in
    other capital letters, with accents stored in the other way, or without an ending. Each must
    mean one file, and the files must have the sizes that the COCO file says. Folders in a relative
    name must be there, unless the user named the folder of the images. Otherwise nothing is
    changed: whoever looks for the images names what is missing.

    Args:
        path: The COCO file.
        original: The user's, of which it may be a copy.
        images: The folder of the images, if the user named it.

    Returns:
        The file to use, and the changes, one line each.
    """
    file = read_coco(path)
    names = [image['file_name'] for image in file.images.values()]
    try:
        find_images(file, images)
        return path, []
    except MissingFileError:
        pass
    except InputError:
        if not any(map(os.path.isabs, names)):
            raise
    for root in (images,) if images else (original.parent, original.parent.parent):
        there = _images_in(root) if root.is_dir() else []
        found = _match(names, there, is_given=root == images) if there else None
        renamed = [i | {'file_name': found[i['file_name']]} for i in file.images.values() if found]
        if found and sizes_fit(root, renamed):
            target = original.with_name(f'{original.stem}_corrected.json')
            write_whole(target, json.dumps(file.content | {'images': renamed}))
            old, new = next(pair for pair in found.items() if pair[0] != pair[1])
            text = f'{len(found)} images got the names of the files, such as {new} for {old}'
            return target, [f'{target}: {text}']
    return path, []


def _images_in(root: Path) -> list[str]:
    """Return the images in a folder and up to two folders deeper, by names relative to it."""
    places = (root, *folders_in(root, depth=2))
    files = (
        (place / name).relative_to(root) for place in places for name in sorted(os.listdir(place))
    )
    masks = {name.lower() for name in LABELS}
    return [
        file.as_posix()
        for file in files
        if is_image(file) and masks.isdisjoint(part.lower() for part in file.parts[:-1])
    ]


def _plain(name: str) -> str:
    """Return a name as it is compared: without escapes, and in small letters."""
    name = unquote(name.partition('?')[0] if '://' in name else name).replace('\\', '/')
    return unicodedata.normalize('NFC', name).casefold()


def _match(names: Iterable[str], there: Sequence[str], *, is_given: bool) -> dict[str, str] | None:
    """Return the file of each name, or ``None`` if one has none, several, or that of another.

    Args:
        names: The names in a COCO file.
        there: The images, relative to their folder.
        is_given: Whether the user named that folder; then names may have more folders before.
    """
    ways: tuple[Callable[[str], str], ...] = (os.path.basename, _stem)
    tables: list[dict[str, list[str]]] = [{} for _ in ways]
    for file in there:
        for way, table in zip(ways, tables, strict=True):
            table.setdefault(way(_plain(file)), []).append(file)
    found: dict[str, str] = {}
    for name in names:
        plain = _plain(name)
        has_ending = is_image(Path(plain))
        candidates = tables[0].get(os.path.basename(plain), [])
        if not candidates and not has_ending:
            candidates = tables[1].get(os.path.basename(plain), [])
        alike = [_common_end(plain, _plain(file)) for file in candidates]
        is_elsewhere = '://' in plain or PureWindowsPath(plain).root
        needed = 0 if is_elsewhere or is_given else plain.count('/')
        least = max(needed, *alike, 0)
        best = [file for file, n in zip(candidates, alike, strict=True) if n >= least]
        if len(best) != 1:
            return None
        found[name] = best[0]
    return found if len(set(found.values())) == len(found) else None


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _common_end(name: str, other: str) -> int:
    """Return how many folders are equal, from the file up."""
    pairs = zip(name.split('/')[-2::-1], other.split('/')[-2::-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
