"""What is found in a data set, and how bad each kind is: one list for all who look at data.

``new_config``, ``check_data`` and the look before training share it, so that none of them calls an
error what another passes over.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..errors import InputError

# What is found, and whether training or the evaluation would fail, or be wrong, with it.
KINDS = {
    'image cannot be read': True,
    'annotations cannot be read': True,
    'image has another size than the annotations say': True,
    'mask cannot be read': True,
    'mask has another size than its image': True,
    'label out of range': True,
    'classes do not match': True,
    'no box to train on': True,
    'no box to measure': True,
    'box without a mask': True,
    'box of an image that is not listed': True,
    'class without images': True,
    'class that is never trained': True,
    'file that MMDetection cannot read': True,
    'image that is listed twice': True,
    'image elsewhere': True,
    'many annotations that repeat others': True,
    'no image to train on': True,
    'boxes in another form': True,
    'masks in another form': True,
    'box with a mask that cannot be read': True,
    'annotation that the evaluation cannot count': True,
    'files with classes in different orders': True,
    'class without pixels': True,
    'label of several colours': True,
    'class id without a name': True,
    'too many images left out': True,
    'classes in another order': False,
    'category that is no class': False,  # left out by MMDetection
    'box of no class': False,  # left out by MMDetection
    'box of a category that is not listed': False,  # left out by MMDetection
    'box outside its image': False,  # left out by MMDetection
    'box without area': False,  # left out by MMDetection, of VOC without effect
    'box reaches over the edge': False,  # clipped by MMDetection
    'boxes elsewhere than their masks': False,
    'boxes in one corner of their images': False,
    'image without annotation': False,
    'mask without a label': False,
    'class without pixels to measure': False,
    'class without images to measure': False,
    'category without a box': False,
    'objects marked as crowds': False,  # left out by MMDetection
    'objects marked to be ignored': False,  # left out by MMDetection
    'image that is too small': False,  # left out by MMDetection
    'image that is turned by EXIF': False,
    'image of more than 8 bits': False,
    'image of several pages': False,  # the first is read
    'file of another ending': False,
    'class name that cannot be drawn': False,
    'annotation that repeats another one': False,
    'image left out': False,  # by tools/new_config.py, from what it writes
    'label left out': False,
    'image in two splits': False,  # the figures of a test are then too good
    'near-equal image in two splits': False,
    'image that occurs twice': False,
    'near-equal images': False,
    'equal images of different classes': False,
    'object smaller than a word': False,
    'object smaller than a sentence': False,
    'classes of unequal frequency': False,
    'training pipeline that fails': True,
    'padding of a validation that cannot be': True,
    'pictures of several sizes in a batch': True,
    'image without a label file': False,
    'label file without an image': False,
}


class Finding(NamedTuple):
    """One finding.

    Attributes:
        kind: A key of ``KINDS``.
        file: The file, or the annotation in it.
        text: What was found there, and how to go on.
    """

    kind: str
    file: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether training or the evaluation would fail, or be wrong."""
        return KINDS[self.kind]

    def __str__(self) -> str:
        return f'{self.file}: {self.text or self.kind}'


def notes_unless_error(findings: Iterable[Finding]) -> list[str]:
    """Return the findings as notes for the log.

    Raises:
        ValueError: If any of them is an error; the text holds all errors.
    """
    findings = list(findings)
    if errors := [str(finding) for finding in findings if finding.is_error]:
        raise InputError('\n'.join(errors))
    return [str(finding) for finding in findings]


def shorten(values: Iterable[Any], most: int = 3) -> str:
    """Join the first few values for a message, each of at most 120 characters."""
    texts = [str(value) for value in values]
    texts = [text if len(text) <= 120 else text[:117] + '...' for text in texts]
    return ', '.join(texts[:most]) + (', ...' if len(texts) > most else '')
