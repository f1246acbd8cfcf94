"""Pictures that cannot be read, where a config is made from files that list or hold many."""

from collections.abc import Iterable
from pathlib import Path

import cv2

from ..data_checks.findings import Finding, shorten
from ..datasets.load_image import LoadImageOrSkip
from .labelled import left_out_kind

SMALL = 200  # bytes: an empty file, or a pointer of Git LFS


def find_unreadable(images: Iterable[Path], place: Path, opened: int) -> list[Finding]:
    """Return a finding about pictures that cannot be read.

    More than a tenth of files that are no pictures at all are an error. Others may be of a format
    that the pipeline of the config reads.

    Args:
        images: Files that seem to be damaged. Missing ones are passed over.
        place: The folder or file that they belong to.
        opened: How many pictures were looked at.
    """
    faults, small = [], 0
    for image in images:
        if not image.is_file():
            continue
        try:
            LoadImageOrSkip().read(str(image))
        except (OSError, ValueError, SyntaxError, cv2.error) as error:
            faults.append(f'{"/".join(image.parts[-2:])}: {error}')
            small += image.stat().st_size < SMALL
    if not faults:
        return []
    text = (
        f'{len(faults)} of {opened} images that were looked at cannot be read '
        f'({shorten(faults)}). Replace the files, or take them out of the data'
    )
    return [Finding(left_out_kind(small, opened), str(place), text)]


def are_small(images: Iterable[Path]) -> list[Path]:
    """Return the files of so few bytes that they may be no pictures."""
    return [image for image in images if image.stat().st_size < SMALL]
