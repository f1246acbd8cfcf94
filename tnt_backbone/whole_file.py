"""A file that is whole or not there, whatever happens while it is written."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiskError, UserError

OTHER = 'Use another path, or change its permissions'
FILE = 'A part of the path is a file. Use another path'
# Errors that are about a path, not about a program, and what to do about them
ADVICE = {
    errno.ENOSPC: 'Free some space, or write to another folder',
    errno.EDQUOT: 'Free some of your quota, or write to another folder',
    errno.EFBIG: 'Raise the limit of your files (ulimit -f), or write to another folder',
    errno.EROFS: 'Write to another folder',
    errno.EACCES: OTHER,
    errno.EPERM: OTHER,
    errno.ENOTDIR: FILE,
    errno.EEXIST: FILE,
    errno.EISDIR: 'Name a file, not a folder',
    errno.ENAMETOOLONG: 'Use a shorter name',
}


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield where to write a file, and put it in its place when the block ends.

    Missing folders are made. If something fails, what was there before stays, and nothing
    half-written is left, except by a process that is killed: ``.<name>.part<ending>``.

    Args:
        path: Where the file goes.

    Raises:
        OSError: :class:`~tnt_backbone.errors.DiskError`, if the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f'.{path.name}.part{path.suffix}')  # some writers look at the ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except UserError:
        raise
    except OSError as error:
        raise DiskError(
            f'{path} cannot be written: {_reason(error, part)}. '
            f'{ADVICE.get(error.errno or 0, "Check the disk, or use another one")}'
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _reason(error: OSError, part: Path) -> str:
    """Return why; with the path, if another one is meant."""
    own = error.filename is None or str(error.filename) == str(part)
    return error.strerror if own and error.strerror else str(error)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a text (UTF-8) or bytes with :func:`whole_file`."""
    with whole_file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
