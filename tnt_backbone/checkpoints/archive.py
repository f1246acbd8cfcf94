"""What ``torch.load`` does not check of the zip archive that a checkpoint is.

It compares no checksums, so a flipped bit becomes another weight. When it maps a file into memory,
it takes the bytes of compressed entries for weights. It unpacks whatever an entry claims to hold.
"""

import functools
import os
import zipfile
from collections.abc import Iterator

from ..errors import InputError

MOST_EXPANSION = 20  # times the size of the file; random weights compress by a tenth
ALWAYS_ALLOWED = 2**28  # bytes after unpacking
CHUNK = 2**20  # bytes


class ArchiveError(InputError):
    """An archive whose content is not what was written, or that nobody should unpack."""


def can_be_mapped(path: str) -> bool:
    """Return whether the entries of an archive are stored as they are.

    Raises:
        ValueError: If unpacking it would need far more memory than the file has bytes.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > max(MOST_EXPANSION * packed, ALWAYS_ALLOWED):
        raise ArchiveError(
            f'{path} claims to hold {unpacked} bytes in {packed}, which is no checkpoint but a '
            'file made to fill the memory. Do not use it'
        )
    return all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)


def require_intact(path: str) -> None:
    """Check that the bytes of an archive are those that were written.

    A process reads a file once for this, as long as the file does not change.

    Raises:
        ValueError: If an entry does not have its checksum.
    """
    stat = os.stat(path)
    _require_intact(path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns))


@functools.lru_cache(maxsize=64)  # keeps what has passed; an error is raised each time
def _require_intact(path: str, _identity: tuple[int, ...]) -> None:
    with zipfile.ZipFile(path) as archive:
        intact = {entry.filename: _is_intact(archive, entry) for entry in archive.infolist()}
    damaged = [name for name, is_intact in intact.items() if not is_intact]
    # torch.serialization.set_crc32_options(False) writes none that fits
    if damaged and len(damaged) < len(intact):
        raise ArchiveError(
            f'{path} is damaged: {len(damaged)} of its {len(intact)} parts are not what was '
            f'written ({", ".join(damaged[:3])}). Download or copy it again'
        )


def _is_intact(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    try:
        for _ in _chunks(archive, entry):
            pass
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError):
        return False
    return True


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as file:
        while chunk := file.read(CHUNK):
            yield chunk
