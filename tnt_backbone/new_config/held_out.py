"""Which images are held out for the validation: all parts and copies of a picture together."""

import re
from collections.abc import Sequence

import numpy as np

# Roboflow's copies: cat_jpg.rf.6d5dac56.jpg
COPY = re.compile(r'(?P<source>.+)\.rf\.\w{8,}(\.\w+)?')
# sahi's overlapping slices, left, top, right, bottom: cat_0_0_256_256.png
SLICE = re.compile(r'(?P<source>.+)_(\d+)_(\d+)_(\d+)_(\d+)(\.\w+)?')

ONE_PICTURE = 'Add other pictures, or give what judges by --val-data'


def draw_held_out(names: Sequence[str], number: int, rng: np.random.Generator) -> set[int]:
    """Draw the places of images; copies and slices of one picture are on the same side.

    A network that has learned one copy of a picture is not judged by another.

    Args:
        names: File names of the images, with their folders.
        number: Images to draw. There are more if a picture has several.
        rng: Draws.

    Returns:
        The places; none if all images are of one picture.
    """
    groups: dict[str, list[int]] = {}
    for place, source in enumerate(_sources(names)):
        groups.setdefault(source, []).append(place)
    listed = [*groups.values()]
    drawn: set[int] = set()
    for i in rng.permutation(len(listed))[: len(listed) - 1].tolist():
        if len(drawn) >= number:
            break
        drawn.update(listed[i])
    return drawn


def _sources(names: Sequence[str]) -> list[str]:
    """Return the name of the picture that each image is of; its own where that is not sure."""
    copies = [COPY.fullmatch(name) for name in names]
    slices = [_slice(name) for name in names]
    # a picture has a slice in its first corner; other names only end with four numbers
    whole = {cut['source'] for cut in slices if cut and cut.group(2, 3) == ('0', '0')}
    return [
        copy['source'] if copy else cut['source'] if cut and cut['source'] in whole else name
        for name, copy, cut in zip(names, copies, slices, strict=True)
    ]


def _slice(name: str) -> re.Match[str] | None:
    found = SLICE.fullmatch(name)
    if not found:
        return None
    left, top, right, bottom = map(int, found.group(2, 3, 4, 5))
    return found if left < right and top < bottom else None
