"""Tensors of a file that a model must not get: without plain values, or not finite."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from .archive import ALWAYS_ALLOWED, MOST_EXPANSION

MOST_TENSORS = 100_000  # the largest models have some thousands


def fault_of(tensor: Tensor) -> str | None:
    """Return why a tensor cannot be copied into a model as it is, or ``None``."""
    if tensor.is_nested or tensor.layout != torch.strided:
        return 'is nested' if tensor.is_nested else f'has the layout {tensor.layout}'
    if tensor.is_quantized:
        return 'is quantized'
    if tensor.is_meta:
        return 'has no values (it was on the meta device)'
    return None


def require_moderate(tensors: Mapping[str, Tensor], path: str) -> None:
    """Check that copies of tensors need no more memory than their file lets expect.

    A view with a stride of 0 makes a million numbers of one, and all tensors may be views of one.

    Args:
        tensors: All tensors of a file, none with a fault.
        path: The file.

    Raises:
        ValueError: If they do.
    """
    if len(tensors) > MOST_TENSORS:
        raise InputError(
            f'{path} has {len(tensors)} tensors, and {MOST_TENSORS} are the most that is read. It '
            'is no checkpoint of a model'
        )
    stored = Path(path).stat().st_size
    copied = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if copied > max(MOST_EXPANSION * stored, ALWAYS_ALLOWED):
        largest = max(tensors, key=lambda key: tensors[key].numel())
        raise InputError(
            f'{path} has {stored} bytes, but its tensors would have {copied}, such as {largest} of '
            f'the shape {tuple(tensors[largest].shape)}. It is made to fill the memory. Do not use '
            'it'
        )


def require_finite(tensors: Mapping[str, Tensor], path: str, *, infinite: bool = False) -> None:
    """Check that weights are numbers.

    Args:
        tensors: Those that are used of a file.
        path: The file.
        infinite: Whether infinity is allowed, as in the masks that some models keep.

    Raises:
        ValueError: If one holds NaN or infinity. The training that wrote them had diverged.
    """
    broken = [key for key, tensor in tensors.items() if not _is_finite(tensor, infinite)]
    if broken:
        what = 'NaN' if infinite else 'NaN or infinity'
        raise InputError(
            f'{path} holds {what} in {len(broken)} of {len(tensors)} tensors '
            f'({", ".join(broken[:3])}): the training that wrote it had diverged, or the file is '
            'damaged. Pass an earlier checkpoint'
        )


def _is_finite(tensor: Tensor, infinite: bool) -> bool:
    if not tensor.is_floating_point():
        return True
    # torch knows no such question for numbers of one byte
    numbers = tensor.float() if tensor.element_size() == 1 else tensor
    return not bool((numbers.isnan() if infinite else ~numbers.isfinite()).any())
