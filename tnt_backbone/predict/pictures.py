"""Which pictures are meant: files, folders, patterns, lists, addresses, videos."""

import glob
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from ..errors import InputError, MissingFileError
from ..log import log

if TYPE_CHECKING:
    import numpy as np

PICTURES = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.png',
    '.bmp',
    '.tif',
    '.tiff',
    '.webp',
    '.jp2',
    '.ppm',
    '.pgm',
)
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')
LISTS = ('.txt',)
# Pictures that the libraries do not read, or only some versions of them
OTHERS = (
    *('.gif', '.heic', '.heif', '.avif', '.jxl', '.svg', '.psd', '.ico', '.exr', '.hdr', '.dcm'),
    *('.raw', '.dng', '.cr2', '.cr3', '.nef', '.arw', '.orf', '.rw2'),
)


class UnreadablePictureError(InputError):
    """A picture is damaged, does not exist, or has a size that the model cannot take."""


@contextmanager
def named_if_too_narrow(picture: 'Picture', shape: tuple[int, ...]) -> Iterator[None]:
    """Say which picture OpenCV cannot resize: of one pixel and 30000, one side becomes 0.

    Args:
        picture: What is made ready within the block.
        shape: Its height and width, in pixels.

    Raises:
        UnreadablePictureError: If OpenCV fails.
    """
    import cv2  # late: a wrong path is reported before

    try:
        yield
    except cv2.error as error:
        where, size = picture.path or picture.name, f'{shape[1]}x{shape[0]}'
        raise UnreadablePictureError(
            f'{where}: the test pipeline cannot resize {size} pixels ('
            f'{" ".join(str(error).split())}). Cut it into pictures that are less narrow'
        ) from error


@dataclass(frozen=True)
class Picture:
    """One picture to predict on, or a video.

    Attributes:
        name: What its results are called: its path below the folder that all sources share.
        path: The file or the URL.
        pixels: A frame's or an array's pixels ``(H, W, 3)``, BGR, uint8.
    """

    name: str
    path: str
    pixels: 'np.ndarray | None' = None

    @property
    def is_video(self) -> bool:
        """Whether it has frames that were not read yet."""
        return self.pixels is None and self.path.lower().endswith(VIDEOS)


def find_pictures(sources: Iterable[str | Path]) -> list[Picture]:
    """Return the pictures of all sources, in the order given, each once.

    Args:
        sources: Files, folders (walked, in sorted order), patterns such as ``data/**/*.jpg``, URLs,
            videos, and ``.txt`` files with one of these per line (paths are relative to the file's
            folder).

    Raises:
        FileNotFoundError: If a source does not exist, or a folder or a pattern has no picture.
        ValueError: If a file is neither a picture nor a video nor a list.
    """
    roots: list[str] = []
    others: set[Path] = set()
    found = (path for source in sources for path in _find(str(source), roots, others))
    paths = list(dict.fromkeys(found))
    if others:  # otherwise nobody would miss them
        log(describe_others(others), logging.WARNING)
    # Below the folder that all of them share, no two files have the same name.
    root = os.path.commonpath(roots) if roots else ''
    return [
        Picture(_name_of_url(path) if _is_url(path) else os.path.relpath(path, root), path)
        for path in paths
    ]


def describe_others(paths: Iterable[Path]) -> str:
    """Return how many files are pictures in formats that are not read; nothing if none is."""
    endings = Counter(path.suffix.lower() for path in paths)
    counts = {ending: endings[ending] for ending in OTHERS if endings[ending]}
    if not counts:
        return ''
    return (
        f'{sum(counts.values())} pictures are passed over, because their format is not read ('
        f'{", ".join(f"{number} {ending}" for ending, number in counts.items())}). Convert them to '
        'PNG or JPEG'
    )


def _is_url(text: str) -> bool:
    return text.startswith(('http://', 'https://'))


def _name_of_url(url: str) -> str:
    parts = urlparse(url)
    names = f'{parts.netloc}{parts.path}'.replace(':', '_').split('/')
    # results are written below a folder, under this name
    return '/'.join(name for name in names if name not in ('', '.', '..')) or 'picture'


def _find(
    source: str, roots: list[str], others: set[Path], lists: tuple[Path, ...] = ()
) -> Iterator[str]:
    """Yield absolute paths and URLs.

    Args:
        source: See :func:`find_pictures`.
        roots: Gets the folders that names are relative to.
        others: Gets the pictures in folders and patterns that are not read.
        lists: The ``.txt`` files that name this source.
    """
    if _is_url(source):
        yield source
        return
    path = Path(os.path.abspath(os.path.expanduser(source)))
    if path.is_dir():
        roots.append(str(path))
        files = sorted(_walk(path))
        if not (found := _read_of(files, others)):
            text = f'{source} has no pictures. Endings that are read: {" ".join(PICTURES + VIDEOS)}'
            raise MissingFileError('. '.join(filter(None, (text, describe_others(files)))))
        yield from found
    elif path.is_file() and path.suffix.lower() in LISTS:
        yield from _find_listed(path, source, roots, others, lists)
    elif path.is_file():
        if not path.name.lower().endswith(PICTURES + VIDEOS):
            known = ' '.join(PICTURES + VIDEOS + LISTS)
            raise InputError(f'{source} is no picture. Endings that are read: {known}')
        roots.append(str(path.parent))
        yield str(path)
    elif glob.has_magic(source):
        files = sorted(map(Path, glob.glob(str(path), recursive=True)))
        if not (found := _read_of(files, others)):
            text = f'no picture fits the pattern {source!r}'
            raise MissingFileError('. '.join(filter(None, (text, describe_others(files)))))
        fixed = itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)
        roots.append(str(Path(*fixed)))
        yield from found
    else:
        raise MissingFileError(f'{source!r} does not exist. Pass a picture, a folder or a pattern')


def _find_listed(
    path: Path, source: str, roots: list[str], others: set[Path], lists: tuple[Path, ...]
) -> Iterator[str]:
    if path in lists:
        raise InputError(f'{source} names itself. Take that line out')
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f'{source} is no list of pictures: it is no text ({error})') from error
    entries = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}
    if not entries:
        raise MissingFileError(f'{source} names no picture. Write a path or an address per line')
    for number, entry in entries.items():
        try:
            place = entry if _is_url(entry) else str(path.parent / entry)
            yield from _find(place, roots, others, (*lists, path))
        except (InputError, MissingFileError) as error:
            raise type(error)(f'{source}, line {number}: {error}') from error


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('.')]
        yield from (Path(root, name) for name in files)


def _read_of(files: list[Path], others: set[Path]) -> list[str]:
    """Return the files that are read, without hidden ones; ``others`` gets pictures that are not.

    Endings are those of whole names, of which some are nothing but an ending.
    """
    visible = [file for file in files if not file.name.startswith('.') and file.is_file()]
    others.update(file for file in visible if file.suffix.lower() in OTHERS)
    return [str(file) for file in visible if file.name.lower().endswith(PICTURES + VIDEOS)]


def read_frames(video: Picture) -> Iterator[Picture]:
    """Yield the frames of a video, called ``NAME/000000.jpg`` and so on.

    OpenCV ends at a damaged place as at the end. If the video says that it has more frames, a
    warning tells so.

    Raises:
        ValueError: If OpenCV cannot read the video.
    """
    import cv2  # late: a wrong path is reported before

    capture = cv2.VideoCapture(video.path)
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))  # an estimate in some formats
    number = 0
    try:
        while (frame := capture.read())[0]:
            yield Picture(f'{video.name}/{number:06d}.jpg', video.path, frame[1])
            number += 1
    finally:
        capture.release()
    if not number:
        raise InputError(f'{video.path} cannot be read as a video. OpenCV reads H.264 in .mp4')
    if number < 0.98 * stated - 1:
        log(
            f'{video.path} says that it has {stated} frames, but {number} were read. It is damaged '
            'or was cut off: copy it again, or repair it with ffmpeg -i FILE -c copy REPAIRED',
            logging.WARNING,
        )
