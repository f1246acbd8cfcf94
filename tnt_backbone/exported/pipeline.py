"""A test pipeline in NumPy and OpenCV: equal by value to that of mmcv and MMPretrain."""

import inspect
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ..errors import InputError
from ..type_names import type_name

CV2 = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
    'lanczos': cv2.INTER_LANCZOS4,
}
PILLOW = ('nearest', 'bilinear', 'bicubic', 'box', 'lanczos', 'hamming')


def _to_size(
    image: np.ndarray, width: int, height: int, backend: str | None, interpolation: str
) -> np.ndarray:
    if backend == 'pillow':
        from PIL import Image

        method = Image.Resampling[interpolation.upper()]
        return np.array(Image.fromarray(image).resize((width, height), method))
    return cv2.resize(image, (width, height), interpolation=CV2[interpolation])


def resize(
    image: np.ndarray,
    *,
    scale: Any = None,
    scale_factor: Any = None,
    keep_ratio: bool = False,
    backend: str | None = 'cv2',
    interpolation: str = 'bilinear',
) -> np.ndarray:
    """Return what mmcv's ``Resize`` makes of a picture ``(H, W, 3)``."""
    height, width = image.shape[:2]
    if scale is None:
        x, y = scale_factor if isinstance(scale_factor, list | tuple) else [scale_factor] * 2
        scale = (int(width * float(x) + 0.5), int(height * float(y) + 0.5))
    elif isinstance(scale, int):
        scale = (scale, scale)
    if keep_ratio:
        ratio = min(max(scale) / max(height, width), min(scale) / min(height, width))
        scale = (int(width * ratio + 0.5), int(height * ratio + 0.5))
    return _to_size(image, scale[0], scale[1], backend, interpolation)


def resize_edge(
    image: np.ndarray,
    *,
    scale: int,
    edge: str = 'short',
    backend: str | None = 'cv2',
    interpolation: str = 'bilinear',
) -> np.ndarray:
    """Return what MMPretrain's ``ResizeEdge`` makes of a picture ``(H, W, 3)``."""
    height, width = image.shape[:2]
    is_narrow, is_wide = width < height, width > height
    if (edge == 'short' and is_narrow) or (edge == 'long' and is_wide) or edge == 'width':
        return _to_size(image, scale, int(scale * height / width), backend, interpolation)
    return _to_size(image, int(scale * width / height), scale, backend, interpolation)


def center_crop(image: np.ndarray, *, crop_size: Any) -> np.ndarray:
    """Return what mmcv's ``CenterCrop`` makes of a picture; ``crop_size`` is width, height."""
    width, height = (crop_size, crop_size) if isinstance(crop_size, int) else crop_size
    top = max(0, round((image.shape[0] - height) / 2))
    left = max(0, round((image.shape[1] - width) / 2))
    return image[top : top + height, left : left + width]


STEPS: dict[str, Callable[..., np.ndarray]] = {
    'Resize': resize,
    'ResizeEdge': resize_edge,
    'CenterCrop': center_crop,
}
# They read a file, read the truth, or pack: done elsewhere, or not at all.
LEFT_OUT = (
    *('LoadImageFromFile', 'LoadImageOrSkip'),
    *('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadProposals'),
    *('PackInputs', 'PackSegInputs', 'PackDetInputs'),
)
READING = {'to_float32': False, 'color_type': 'color', 'imdecode_backend': 'cv2'}


def portable(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps of a config's test pipeline that :func:`prepare` carries out.

    Raises:
        ValueError: If a step or one of its arguments is not known here.
    """
    steps = []
    for part in pipeline:
        arguments = {key: value for key, value in part.items() if key != 'type'}
        name = type_name(part)
        if name in ('LoadImageFromFile', 'LoadImageOrSkip'):
            for key, known in READING.items():
                if arguments.get(key, known) != known:
                    raise InputError(f'{name}({key}={arguments[key]!r}): only {known!r} is known')
        if name in LEFT_OUT:
            continue
        if name not in STEPS:
            raise InputError(
                f'the test pipeline has {name}, which cannot be exported. Known are '
                f'{", ".join(STEPS)}. Pass a config without it: --config FILE'
            )
        allowed = [key for key in inspect.signature(STEPS[name]).parameters if key != 'image']
        if unknown := [key for key in arguments if key not in allowed]:
            raise InputError(f'{name}({unknown[0]}=...) cannot be exported. Known are {allowed}')
        methods = PILLOW if arguments.get('backend') == 'pillow' else tuple(CV2)
        if arguments.get('backend', 'cv2') not in ('cv2', 'pillow'):
            raise InputError(f'{name}(backend={arguments["backend"]!r}): pass cv2 or pillow')
        if arguments.get('interpolation', 'bilinear') not in methods:
            raise InputError(
                f'{name}(interpolation={arguments["interpolation"]!r}): one of {methods}'
            )
        steps.append({'type': name, **arguments})
    return steps


def prepare(image: np.ndarray, steps: list[dict[str, Any]]) -> np.ndarray:
    """Return a picture ``(H, W, 3)``, BGR, uint8, after the steps of :func:`portable`."""
    for step in steps:
        image = STEPS[step['type']](image, **{k: v for k, v in step.items() if k != 'type'})
    return image
