"""Which image belongs to a label file, and what has no partner."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from ..data_checks.findings import Finding, shorten
from ..errors import InputError

IMAGE_FOLDERS = ('JPEGImages', 'images')


def nearest(images: list[Path], labels: Path, name: str = '') -> Path | None:
    """Return the image that belongs to a label file, of several with its name.

    It has the given name; of equal ones, it lies beside the label file; else in a folder that is
    named for images, since masks of the same names may lie elsewhere; else it shares the most
    folders with the label file, counted from both ends of the paths, so that ``annots/a/1.xml``
    belongs to ``images/a/1.jpg``.

    Raises:
        ValueError: If several fit as well.
    """
    if len(images) < 2:
        return images[0] if images else None

    def fit(image: Path) -> tuple[bool, bool, bool, int]:
        parts, own = image.parent.parts, labels.parent.parts
        alike = _common(parts, own) + _common(parts[::-1], own[::-1])
        is_named_for_images = any(part in IMAGE_FOLDERS for part in parts)
        return image.name == name, parts == own, is_named_for_images, alike

    best = max(map(fit, images))
    fitting = [image for image in images if fit(image) == best]
    if len(fitting) > 1:
        raise InputError(
            f'Several images fit {labels}: {shorten(fitting)}. Keep one, or pass a --data folder '
            'that holds one of them'
        )
    return fitting[0]


def _common(parts: tuple[str, ...], others: tuple[str, ...]) -> int:
    """Return how many parts are equal, from the first on."""
    pairs = zip(parts, others, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def find_without_partner(
    images: Iterable[Path], labels: Iterable[Path], fate: str, advice: str
) -> list[Finding]:
    """Return images without a label file, and label files without an image.

    Args:
        images: Images without a label file.
        labels: Label files without an image.
        fate: What happens with such an image.
        advice: What to do with an image without a label file.
    """
    findings = []
    if bare := list(images):
        text = f'{len(bare)} images have no label file, {fate} ({shorten(bare)}). {advice}'
        findings.append(Finding('image without a label file', str(bare[0].parent), text))
    if lone := list(labels):
        text = (
            f'{len(lone)} label files have no image and are left out ({shorten(lone)}). Add the '
            'images, or delete the label files'
        )
        findings.append(Finding('label file without an image', str(lone[0].parent), text))
    return findings
