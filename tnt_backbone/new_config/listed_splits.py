"""Lists of the images of each split, for data of boxes and label maps without such folders.

::

    DIR/train.txt             DIR/val.txt       JPEGImages/a.jpg Annotations/a.xml   PaddleDetection
    DIR/ImageSets/train.txt   .../val.txt       000012                               KITTI, DOTA

A line names an image first, with or without folders and ending.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import encoding_of
from ..errors import InputError

LISTS = {
    'train': ('train', 'training', 'trainval'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}
KNOWN = 0.5  # share of the lines of a list that name images, at least
LARGEST = 100_000_000  # bytes of a list


def split_by_lists(
    images: Sequence[Path], lists: Sequence[Path], *, every: bool = True
) -> dict[str, list[Path]]:
    """Return the images of the splits that text files name; nothing without a list to train on.

    Args:
        images: All images, or their label files.
        lists: Text files that may be lists. The first name of each split counts: ``train.txt`` is
            taken before ``trainval.txt``.
        every: Whether each image must be in a list.

    Raises:
        ValueError: If lists of one split differ, an image is in two splits or in none, or there is
            nothing to judge with.
    """
    by_ending = _by_ending(images)
    splits: dict[str, list[Path]] = {}
    used: list[Path] = []
    for split, names in LISTS.items():
        for name in names:
            found = {
                file: listed
                for file in lists
                if file.stem.lower() == name and (listed := _read(file, by_ending))
            }
            if len({frozenset(listed) for listed in found.values()}) > 1:
                raise InputError(
                    f'{shorten(found)} list different images of the {split} split. Keep one of them'
                )
            if found:
                file, splits[split] = next(iter(found.items()))
                used.append(file)
                break
    if 'train' not in splits or len(splits) < 2:
        return {}
    _check_parts(images if every else (), splits, used)
    return splits


def _check_parts(
    images: Sequence[Path], splits: dict[str, list[Path]], used: Sequence[Path]
) -> None:
    listed = Counter(image for parts in splits.values() for image in parts)
    if twice := sorted(image for image, times in listed.items() if times > 1):
        raise InputError(
            f'{len(twice)} images are in two of {shorten(used)}, such as {twice[0]}. Delete one of '
            'the lines: what was trained on cannot judge'
        )
    if bare := sorted({*images} - {*listed}):
        raise InputError(
            f'{len(bare)} of {len(images)} images are in none of the lists {shorten(used)}, such '
            f'as {bare[0]}. Add them to one. If the lists do not count, move them away'
        )


def _by_ending(images: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the images by all endings of their paths: ``a``, ``folder/a``, ..."""
    found: dict[str, list[Path]] = {}
    for image in images:
        parts = image.with_suffix('').parts
        for i in range(len(parts)):
            found.setdefault('/'.join(parts[i:]), []).append(image)
    return found


def _read(file: Path, by_ending: dict[str, list[Path]]) -> list[Path]:
    """Return the images that a file lists; none if most lines name no image."""
    if file.stat().st_size > LARGEST:
        return []
    text = file.read_text(encoding=encoding_of(file), errors='replace')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [_find(line, by_ending) or _find(line.split()[0], by_ending) for line in lines]
    images = list(dict.fromkeys(image for image in found if image))
    return images if len(images) > KNOWN * len(lines) else []


def _find(name: str, by_ending: dict[str, list[Path]]) -> Path | None:
    """Return the only image whose path ends like a name."""
    parts = [part for part in name.replace('\\', '/').split('/') if part.strip('.')]
    for i in range(len(parts)):
        ending = '/'.join(parts[i:])
        for known in (ending, str(Path(ending).with_suffix(''))):
            if len(found := by_ending.get(known, [])) == 1:
                return found[0]
    return None
