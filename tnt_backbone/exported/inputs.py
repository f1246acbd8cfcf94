"""From a picture to what a network takes: the test pipeline and the data preprocessor in NumPy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..datasets.decodable import fault_of
from ..predict.pictures import Picture, UnreadablePictureError
from .pipeline import prepare


@dataclass(frozen=True)
class Input:
    """A picture, ready for the network.

    Attributes:
        values: ``(3, H, W)``, normalised and padded, float32.
        shape: Height and width after the pipeline, without padding.
        own_shape: Height and width of the picture itself.
    """

    values: np.ndarray
    shape: tuple[int, int]
    own_shape: tuple[int, int]


def read(picture: Picture) -> np.ndarray | UnreadablePictureError:
    """Return the pixels ``(H, W, 3)``, BGR, uint8, or why there are none."""
    if picture.pixels is not None:
        return picture.pixels
    try:
        data = Path(picture.path).read_bytes()
    except OSError as error:
        return UnreadablePictureError(f'{picture.path}: {error}')
    if fault := fault_of(data):
        return UnreadablePictureError(f'{picture.path}: {fault}')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        return UnreadablePictureError(f'{picture.path}: {error}')
    if image is None:
        return UnreadablePictureError(f'{picture.path}: its {len(data)} bytes are damaged')
    return image


def to_input(image: np.ndarray, about: dict[str, Any]) -> Input:
    """Return the input of a picture ``(H, W, 3)``, BGR, uint8.

    Args:
        image: The picture.
        about: The file's metadata.
    """
    own_shape = image.shape[:2]
    image = prepare(image, about['pipeline'])
    height, width = image.shape[:2]
    if about['bgr_to_rgb']:
        image = image[..., ::-1]
    values = image.astype(np.float32)
    if about['mean'] is not None:
        mean, std = (np.array(about[key], np.float32) for key in ('mean', 'std'))
        values = (values - mean) / std
    extra = [-side % about['size_divisor'] for side in (height, width)]
    values = np.pad(
        values, ((0, extra[0]), (0, extra[1]), (0, 0)), constant_values=about['pad_val']
    )
    return Input(
        np.ascontiguousarray(values.transpose(2, 0, 1)),
        (height, width),
        (own_shape[0], own_shape[1]),
    )


def stack(inputs: list[Input], about: dict[str, Any]) -> np.ndarray:
    """Return pictures of equal size in the form that the network takes.

    Args:
        inputs: The pictures.
        about: The file's metadata. With ``square`` the form is ``(N, 3, H / square, square,
            W / square, square)``, else ``(N, 3, H, W)``.
    """
    images = np.stack([one.values for one in inputs])
    if not (side := about['square']):
        return images
    batch, channels, height, width = images.shape
    return images.reshape(batch, channels, height // side, side, width // side, side)
