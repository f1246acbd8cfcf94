"""Find pictures that are equal, or nearly equal, within a split and between splits.

Equal files have equal bytes. Nearly equal are copies that were saved again, resized or changed a
little, and neighbouring frames of a film: their difference hashes (8x8 comparisons of neighbours in
a small grey picture) differ in at most 6 of 64 bits, and their small pictures differ little.
"""

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .findings import Finding
from .label_maps import UNREADABLE

BITS = 6  # of 64 that may differ
FEWER_BITS, MANY = 3, 200_000  # in a data set of so many pictures
SIDE = 16  # pixels of the small picture
DIFFERENCE = 8  # grey levels of 255, on average, by which small pictures may differ
CONTRAST = 6  # grey levels; what is flatter has no hash, and is compared byte by byte
ONES = np.array([value.bit_count() for value in range(256)])
LARGEST_BAND = 5000  # pictures; more that agree in a part of the hash are not compared


class Fingerprint(NamedTuple):
    """What is remembered of a picture.

    Attributes:
        path: Of the file.
        digest: Of its bytes.
        hash: 64 bits, or ``None`` if the picture is flat or cannot be read.
        small: Grey, ``SIDE * SIDE`` bytes.
    """

    path: str
    digest: bytes
    hash: int | None
    small: bytes


def fingerprint(path: str) -> Fingerprint | None:
    """Return the fingerprint of a picture, or ``None`` if there is no such file.

    A JPEG is decoded at an eighth of its size.
    """
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None
    digest = hashlib.blake2b(data, digest_size=16).digest()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft('L', (4 * SIDE, 4 * SIDE))
            grey = image.convert('L')
            small = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
            tiny = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), int)
    except UNREADABLE:
        return Fingerprint(path, digest, None, b'')
    if np.asarray(small).std() < CONTRAST:
        return Fingerprint(path, digest, None, small.tobytes())
    bits = np.packbits(tiny[:, 1:] > tiny[:, :-1]).tobytes()
    return Fingerprint(path, digest, int.from_bytes(bits, 'big'), small.tobytes())


def find_pairs(prints: Sequence[Fingerprint]) -> dict[tuple[int, int], bool]:
    """Return the pairs of pictures that are alike.

    Returns:
        ``{(number, number): whether they are equal}``, the smaller number first. Of many equal
        files, each is paired with the first one only.
    """
    pairs: dict[tuple[int, int], bool] = {}
    first: dict[bytes, int] = {}
    for number, one in enumerate(prints):
        if (other := first.setdefault(one.digest, number)) != number:
            pairs[other, number] = True
    bits = BITS if len(prints) < MANY else FEWER_BITS
    # of one part more than bits that differ, one is equal in both hashes
    width = 64 // (bits + 1)
    parts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number in first.values():
        value = prints[number].hash
        if value is None:
            continue
        for part in range(bits + 1):
            parts[part, value >> width * part & (1 << width) - 1].append(number)
    for members in parts.values():
        if 1 < len(members) <= LARGEST_BAND:
            pairs |= dict.fromkeys(_near(prints, members, bits) - pairs.keys(), False)
    return pairs


def _near(prints: Sequence[Fingerprint], members: list[int], bits: int) -> set[tuple[int, int]]:
    hashes = np.array([prints[number].hash for number in members], np.uint64)
    small = np.frombuffer(b''.join(prints[number].small for number in members), np.uint8)
    small = small.reshape(len(members), -1).astype(np.int16)
    found = set()
    for i in range(len(members) - 1):
        differing = (hashes[i + 1 :] ^ hashes[i]).view(np.uint8).reshape(-1, 8)
        places = np.flatnonzero(ONES[differing].sum(1) <= bits) + i + 1
        near = np.abs(small[places] - small[i]).mean(1) <= DIFFERENCE
        found |= {(members[i], members[j]) for j in places[near]}
    return found


def find_similar(
    splits: Mapping[str, Iterable[Fingerprint]], classes: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return the pictures that are in two splits, twice in one, or equal but of different classes.

    Args:
        splits: Name of the split to fingerprints of its pictures. The first is the one that is
            trained on; the others are compared with it, and not with each other.
        classes: Path to the class of the whole picture, where pictures have one.
    """
    names, prints = [], []
    for name, members in splits.items():
        unique = {one.path: one for one in members}
        names += [name] * len(unique)
        prints += list(unique.values())
    training = next(iter(splits), '')
    classes = classes or {}
    findings = []
    for (i, j), is_equal in sorted(find_pairs(prints).items()):
        place = {i: names[i], j: names[j]}
        one, other = prints[i].path, prints[j].path
        if is_equal and len({classes.get(one, ''), classes.get(other, '')} - {''}) == 2:
            text = f'{classes[other]}, but the equal {one} is {classes[one]}. One label is wrong'
            findings.append(Finding('equal images of different classes', other, text))
        if place[i] == place[j]:
            kind = 'image that occurs twice' if is_equal else 'near-equal images'
            findings.append(Finding(kind, other, f'like {one}, in the {place[i]} split'))
        elif training in place.values():
            trained, tested = (one, other) if place[i] == training else (other, one)
            split = place[j] if place[i] == training else place[i]
            kind = 'image in two splits' if is_equal else 'near-equal image in two splits'
            text = f'of the {split} split, like {trained}, which is trained on'
            findings.append(Finding(kind, tested, text))
    return findings


def paths_in_two(splits: Mapping[str, Iterable[str]]) -> list[Finding]:
    """Return the files that are trained on and also in another split."""
    (training, paths), *others = splits.items()
    trained = set(paths)
    return [
        Finding('image in two splits', path, f'of the {name} split, and of the {training} split')
        for name, members in others
        for path in dict.fromkeys(members)
        if path in trained
    ]
