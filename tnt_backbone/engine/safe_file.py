"""A file that is either the old one or the new one, whatever happens while it is written."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ..errors import DiskError

BACKEND = 'tnt_backbone.safe_local'  # its name in mmengine's list of file backends
PARTIAL = '.partial'  # what a file that is being written ends in
CHUNK = 1 << 24  # bytes that are compared at a time
ADVICE = {
    errno.ENOSPC: 'Free some space',
    errno.EDQUOT: 'Free some of your quota',
    errno.EROFS: 'Make it writable',
    errno.EACCES: 'Make it writable',
}


def write_safely(path: str | Path, data: bytes) -> None:
    """Write a file beside its place, read it back, and put it there.

    The data are on the disk before the name is. What was there before stays until then, and stays
    if the writing fails. Nothing half-written is left behind, except by a process that is killed:
    ``<name>.partial``.

    Args:
        path: Where the file goes. Missing folders are made.
        data: Its content.

    Raises:
        OSError: :class:`~tnt_backbone.errors.DiskError`, if the file cannot be written, or not be
            read as it was written.
    """
    path = Path(path)
    partial = path.with_name(path.name + PARTIAL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a failing disk may say so only here
            _forget_cached(file.fileno())
        _compare(partial, data)
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, 'Check the disk, or use another one')
        raise DiskError(
            f'{path} could not be written: {error.strerror or error}. It has {len(data):,} bytes, '
            f'and {_free(path.parent)} bytes are free. Older files are kept. {advice}, then go '
            'on with --resume'
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partial_files(folder: str | Path) -> list[str]:
    """Remove what processes that were killed have left; return the names."""
    left = sorted(Path(folder).glob(f'*{PARTIAL}'))
    for path in left:
        path.unlink(missing_ok=True)
    return [path.name for path in left]


def _forget_cached(descriptor: int) -> None:
    """Ask for the next reader to get what is on the disk, not what is still in memory."""
    if hasattr(os, 'posix_fadvise'):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _compare(path: Path, data: bytes) -> None:
    expected = memoryview(data)
    with open(path, 'rb') as file:
        position = 0
        while chunk := file.read(CHUNK):
            if chunk != expected[position : position + len(chunk)]:
                break
            position += len(chunk)
    if position != len(data):
        raise OSError(errno.EIO, f'read back, it differs after byte {position:,}')


def _sync_folder(folder: Path) -> None:
    """Let the new name outlive a power cut; some network file systems have no such call."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _free(folder: Path) -> str:
    try:
        return f'{shutil.disk_usage(folder).free:,}'
    except OSError:
        return 'an unknown number of'


@register_backend(BACKEND)
class SafeLocalBackend(LocalBackend):
    """mmengine's backend for local files, with :func:`write_safely`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file safely."""
        write_safely(filepath, obj)
