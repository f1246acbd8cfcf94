"""Checks of the images that a backbone gets."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Proxy

from ..errors import InputError, InputTypeError


def require_dense_tensor(image: Any) -> None:
    """Check that an image is a tensor with a number for each pixel.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If it is sparse.
    """
    if isinstance(image, Proxy):
        raise InputTypeError(
            'The image is a Proxy: torch.fx cannot trace a backbone, because forward depends on '
            'the size of the image. Make it a leaf of the tracer '
            '(torchvision: tracer_kwargs=dict(leaf_modules=[type(backbone)])), or use '
            'torch.export. In a config of mmengine, leave out efficient_conv_bn_eval'
        )
    if not isinstance(image, Tensor):
        raise InputTypeError(
            f'The image is {type(image).__name__}, but it must be a tensor (B, C, H, W) of '
            'normalised floats. Use torch.as_tensor for an array, torch.stack for a list'
        )
    if image.layout != torch.strided:
        raise InputError(f'The image has the layout {image.layout}. Use image.to_dense()')


def is_cast(image: Tensor) -> bool:
    """Return whether autocast gives an image the type of the weights; it leaves float64 alone."""
    device = image.device.type
    return (
        image.dtype in (torch.float16, torch.bfloat16, torch.float32)
        and torch.amp.is_autocast_available(device)
        and torch.is_autocast_enabled(device)
    )
