"""Sizes in the headers of images, against those that annotations say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from .coco_file import CocoFile
from .findings import Finding, shorten

ORIENTATION = 0x0112  # EXIF's tag
ONE_PAGE = (
    'The libraries read the first page only. Write each page that counts as a file of its own'
)
UPPER_8 = (
    'OpenCV keeps the upper 8 of 16 bits, so a sensor of 12 bits leaves 16 levels. Convert them, '
    "or load them with type='LoadImageScaled', max_value=4095 in all pipelines (docs/datasets.md)"
)
READ_BEFORE_A_RUN = 200  # images or label maps, evenly drawn; tnt check reads all


class Header(NamedTuple):
    """What the header of an image says.

    Attributes:
        size: Height and width in pixels, after EXIF has turned the image, as it is read.
        turn: EXIF's orientation, 1 to 8; 1 where nothing is turned.
        is_deep: Whether a channel has more than 8 bits.
        is_stack: Whether a TIFF has further pictures of the same size, which are not read. Smaller
            ones are previews.
    """

    size: tuple[int, int]
    turn: int
    is_deep: bool = False
    is_stack: bool = False


def read_header(path: str | Path) -> Header | None:
    """Return the header of an image, or ``None`` if it cannot be read."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            stored = [str(tile[3]) for tile in image.tile]  # such as RGB;16B
            is_deep = image.mode.startswith(('I', 'F')) or any(';16' in kind for kind in stored)
            turn = image.getexif().get(ORIENTATION, 1)
            if image.format == 'WEBP' and getattr(image, 'is_animated', False):
                turn = 1  # OpenCV takes the first frame as it is stored
            is_stack = image.format == 'TIFF' and getattr(image, 'n_frames', 1) > 1
            if is_stack:
                image.seek(1)
                is_stack = image.size == (width, height)
    except Exception:  # a damaged EXIF makes Pillow fail in many ways
        return None
    if turn not in tuple(range(1, 9)):  # no other number has a meaning
        turn = 1
    return Header((width, height) if turn >= 5 else (height, width), turn, is_deep, is_stack)


def find_in_headers(folder: str, file: CocoFile) -> list[Finding]:
    """Return images of another size than the file says, and those that EXIF turns.

    Args:
        folder: Of the images.
        file: The annotations. Of many images, ``READ_BEFORE_A_RUN`` are opened.
    """
    images = list(file.images.values())
    step = max(1, -(-len(images) // READ_BEFORE_A_RUN))
    differing, turned, headers = [], [], {}
    for entry in images[::step]:
        header = read_header(Path(folder, entry['file_name']))
        if header is None:
            continue  # missing or damaged, which is reported elsewhere
        name, said = entry['file_name'], (entry['height'], entry['width'])
        headers[name] = header
        if header.turn != 1:
            turned.append(name)
        if header.size != said:
            differing.append(f'{name}: {_other_size(header.size, said)}')
    findings, count = [], len(headers)
    if differing:
        text = (
            f'{len(differing)} of {count} images that were opened have another height and width '
            f'than the file says ({shorten(differing)}). The boxes fit other pictures, or these '
            'before they were resized or turned. Export the file again from these images'
        )
        findings.append(Finding('image has another size than the annotations say', file.path, text))
    if turned:
        text = (
            f'EXIF turns {len(turned)} of {count} images that were opened ({shorten(turned)}), and '
            'the libraries read them turned. Boxes and masks must fit the turned pictures. '
            'tnt browse shows whether they do'
        )
        findings.append(Finding('image that is turned by EXIF', file.path, text))
    return [*findings, *find_unusual(headers, file.path)]


def find_unusual(headers: Mapping[Any, Header], place: str) -> list[Finding]:
    """Return notes about images of more than 8 bits, and about files of several pages.

    Args:
        headers: By the names of the images.
        place: Of the images.
    """
    deep = [name for name, header in headers.items() if header.is_deep]
    stacks = [name for name, header in headers.items() if header.is_stack]
    findings = []
    if deep:
        text = f'{len(deep)} images ({shorten(deep)}) have more than 8 bits per channel. {UPPER_8}'
        findings.append(Finding('image of more than 8 bits', place, text))
    if stacks:
        text = f'{len(stacks)} images ({shorten(stacks)}) have several pages. {ONE_PAGE}'
        findings.append(Finding('image of several pages', place, text))
    return findings


def _other_size(size: tuple[int, int], said: tuple[float, float]) -> str:
    text = f'{size[0]}x{size[1]}, not {said[0]:g}x{said[1]:g}'
    if size == (said[1], said[0]):
        text += ', exchanged, as by a tool that did not look at EXIF'
    return text
