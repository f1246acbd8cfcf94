"""Pictures that a command wrote itself: they are no sources, and no source is written over."""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import InputError
from ..log import log
from .pictures import Picture
from .write import FOLDERS, LINES, read_lines


def leave_out_predictions(pictures: list[Picture], out: Path) -> list[Picture]:
    """Return the pictures without those that an earlier ``tnt predict`` wrote into its folder.

    Args:
        pictures: Of :func:`find_pictures`.
        out: Where predictions are written to.

    Raises:
        ValueError: If none is left, or one lies where a prediction could be written over it.
    """
    entries = read_lines(out / LINES)
    files = (entry['files'] for entry in entries if isinstance(entry.get('files'), list))
    own = {os.path.realpath(out / str(file)) for listed in files for file in listed}
    kept = leave_out(pictures, out, lambda path: path in own)
    folders = tuple(os.path.realpath(out / name) + os.sep for name in FOLDERS)
    for picture in kept:
        if os.path.realpath(picture.path).startswith(folders):
            raise InputError(
                f'{picture.path} lies where predictions are written to, and could be written over. '
                f'Pass another folder than --out {out}'
            )
    return kept


def leave_out_pages(pictures: list[Picture], out: Path, page: str) -> list[Picture]:
    """Return the pictures without those that an earlier ``tnt look`` wrote into its folder.

    Args:
        pictures: Of :func:`find_pictures`.
        out: Where the pages are written to.
        page: The name of a page, which lies beside its pictures.

    Raises:
        ValueError: If none is left.
    """
    root = os.path.realpath(out) + os.sep

    def is_own(path: str) -> bool:
        return path.startswith(root) and os.path.isfile(os.path.join(os.path.dirname(path), page))

    return leave_out(pictures, out, is_own)


def leave_out(
    pictures: Iterable[Picture], out: Path, is_own: Callable[[str], bool]
) -> list[Picture]:
    """Return the pictures that a command did not write itself, and say how many it did.

    Args:
        pictures: Of :func:`find_pictures`.
        out: Where the command writes to.
        is_own: Says it of a path without links.

    Raises:
        ValueError: If none is left.
    """
    given = list(pictures)
    kept = [picture for picture in given if not is_own(os.path.realpath(picture.path))]
    if len(kept) == len(given):
        return kept
    number = len(given) - len(kept)
    if not kept:
        raise InputError(
            f'all {number} pictures were written into --out {out} by an earlier call. Pass the '
            'pictures themselves, or another --out'
        )
    log(
        f'{number} pictures that an earlier call wrote into {out} are passed over. Pass a folder '
        'outside the sources as --out, to have them apart',
        logging.WARNING,
    )
    return kept
