"""What is looked at before an uploaded picture is decoded."""

import os
import warnings
from dataclasses import dataclass

from ..errors import InputError
from ..predict.pictures import UnreadablePictureError

MEGA = 10**6


@dataclass(frozen=True)
class Limits:
    """The largest upload that is accepted.

    Attributes:
        megabytes: Size of the file, in millions of bytes.
        megapixels: Width times height, in millions.
        seconds: How long an upload may take, and then each answer.
    """

    megabytes: float = 20.0
    megapixels: float = 30.0
    seconds: float = 120.0

    @property
    def bytes(self) -> int:
        """Size of the file in bytes."""
        return int(self.megabytes * MEGA)

    def __str__(self) -> str:
        return f'{self.megabytes:g} MB, {self.megapixels:g} megapixels, {self.seconds:g} seconds'


def check_upload(path: str, limits: Limits) -> None:
    """Check the size of a picture; only its header is read.

    Args:
        path: The file.
        limits: What is allowed.

    Raises:
        UnreadablePictureError: If it is no picture, or the file is gone.
        ValueError: If it is too large.
    """
    from PIL import Image

    name = os.path.basename(path)
    try:
        size = os.path.getsize(path)
        if size > limits.bytes:
            raise InputError(
                f'{name} has {size / MEGA:.1f} MB, and {limits.megabytes:g} are allowed. Make it '
                'smaller, or start the app with --max-megabytes'
            )
        with warnings.catch_warnings():
            # Pillow's limit is another one, and only a warning
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise InputError(_too_many(name, str(error), limits)) from error
    except FileNotFoundError as error:
        raise UnreadablePictureError(
            f'{name} is no longer on the server. Upload it again'
        ) from error
    except (OSError, SyntaxError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise UnreadablePictureError(
            f'{name} is no picture that can be read: it is damaged, or of another kind. Save it as '
            'JPEG or PNG'
        ) from error
    if width * height > limits.megapixels * MEGA:
        raise InputError(_too_many(name, f'{width} x {height} pixels', limits))


def _too_many(name: str, found: str, limits: Limits) -> str:
    return (
        f'{name} has too many pixels ({found}): {limits.megapixels:g} megapixels are allowed. Make '
        'it smaller, or start the app with --max-megapixels'
    )
