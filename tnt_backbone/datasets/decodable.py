"""What is looked at before the bytes of a picture are decoded: damage, and the memory they need."""

import io
import os
import re
from typing import Any

from .jpeg import is_cut_off

POINTER = b'version https://git-lfs.github.com/spec/'  # begins what Git LFS leaves of a file
PULL = "it is Git LFS's pointer: run git lfs pull"
MOST_PIXELS = 2**29  # 1.6 GB after decoding; OpenCV itself would decode twice as many


def require_file(path: str) -> None:
    """Check that a path of this computer is no device, pipe or folder: reading may have no end.

    Raises:
        OSError: If it is one.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError('it is no file, but a folder, a pipe or a device')


def read_bytes(path: str, transform: Any) -> bytes:
    """Return the bytes of a file, from where a transform of mmcv reads its files.

    Args:
        path: A path or an address.
        transform: With ``backend_args``, or ``file_client_args``, which came before it.

    Raises:
        OSError: If there is no such file.
    """
    import mmengine.fileio  # late: exported files predict without mmengine

    if transform.file_client_args is not None:
        client = mmengine.fileio.FileClient.infer_client(transform.file_client_args, path)
        return client.get(path)
    if not transform.backend_args:
        require_file(path)
    return mmengine.fileio.get(path, backend_args=transform.backend_args)


def fault_of(data: bytes) -> str | None:
    """Return why the bytes of a picture cannot be decoded well, or ``None``.

    Args:
        data: A whole file.
    """
    if not data:
        return 'the file is empty'
    if data.startswith(POINTER):
        return PULL
    pixels = _pixels_above_the_limit(data)
    if pixels:
        return (
            f'it has {pixels} pixels, and {MOST_PIXELS} are the most that is decoded. Cut it into '
            'tiles'
        )
    if is_cut_off(data):
        return f'the JPEG is cut off after {len(data)} bytes'
    return None


def _pixels_above_the_limit(data: bytes) -> int:
    """Return the number of pixels if it is too large, else 0; only the header is read."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)):
            return 0
    except Image.DecompressionBombError as error:  # Pillow's own limit is 179 million pixels
        found = re.search(r'\((\d+) pixels', str(error))
        pixels = int(found[1]) if found else MOST_PIXELS + 1
        return pixels if pixels > MOST_PIXELS else 0
    except Exception:  # a header that Pillow does not know, or a damaged one: OpenCV decides
        return 0
