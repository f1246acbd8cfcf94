"""Reading of a file into a flat dict of tensors, without running code that the file may hold."""

import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from .safe_globals import training_checkpoints_are_safe

# Keys under which training tools keep the weights, in order of preference. An average of the
# weights comes first, because it is what was evaluated.
WRAPPERS = ('state_dict_ema', 'model_ema', 'state_dict', 'model')


def read_tensors(path: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint.

    Pickles are read with ``weights_only=True``, ``.safetensors`` with safetensors. Wrappers
    (``state_dict``, ``state_dict_ema``, ``model``) and the prefix ``module.`` are removed.

    Args:
        path: A local file.

    Raises:
        ValueError: If the file holds no tensors, or more than data. The message says what the file
            is.
    """
    with open(path, 'rb') as file:
        head = file.read(512)
    if head[8:9] == b'{':  # safetensors: the length of a JSON header, then the header
        content: Any = _read_safetensors(path)
    else:
        content = _read_pickle(path, head)
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = (
        {key: value for key, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        raise ValueError(
            f'{path} holds no weights: it is {_describe(content)}, not a dict of tensors. Pass a '
            'checkpoint'
        )
    if all(key.startswith('module.') for key in tensors):
        consume_prefix_in_state_dict_if_present(tensors, 'module.')
    return tensors


def read_meta(path: str) -> dict[str, Any]:
    """Return what a checkpoint of mmengine says about itself: its config, its classes.

    Args:
        path: A local file that :func:`read_tensors` can read.

    Returns:
        The entry ``'meta'``; empty if the file has none.
    """
    with open(path, 'rb') as file:
        head = file.read(512)
    content = {} if head[8:9] == b'{' else _read_pickle(path, head)
    meta = content.get('meta') if isinstance(content, dict) else None
    return meta if isinstance(meta, dict) else {}


def _read_safetensors(path: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f'{path} cannot be read as safetensors: it is damaged or cut off ({error}). Download '
            'it again'
        ) from error


# Errors of torch.load for a file that is cut off or damaged.
DAMAGED_PICKLE = (
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    AttributeError,
    TypeError,
)


def _read_pickle(path: str, head: bytes) -> Any:
    try:
        with training_checkpoints_are_safe():
            # Mapped into memory: the processes of a machine share what is read from the disk. The
            # older of torch's two formats cannot be mapped.
            mmap = head[:2] == b'PK'
            return torch.load(path, map_location='cpu', weights_only=True, mmap=mmap)
    except DAMAGED_PICKLE as error:
        raise ValueError(
            f'{path} cannot be read as weights: {_diagnose(path, head, error)}'
        ) from error


def _diagnose(path: str, head: bytes, error: Exception) -> str:
    """Return what is wrong with a file that torch could not read."""
    start = head.lstrip()[:64].lower()
    if not head:
        return 'the file is empty; download it again'
    if start.startswith((b'<!doctype', b'<html', b'<?xml')):
        return 'it is a web page, not weights (the answer to a failed download); download it again'
    if start.startswith(b'version https://git-lfs'):
        return 'it is a Git LFS pointer, not the file itself; run "git lfs pull"'
    code = (
        re.search(r'(?:GLOBAL|global|class) (\w[\w.]+)', str(error))
        if isinstance(error, pickle.UnpicklingError)
        else None
    )
    if code:
        return (
            f'it needs the code {code[1]}, but code in a checkpoint is never run; save only tensors'
        )
    if head[:2] == b'PK':
        size = Path(path).stat().st_size
        if not zipfile.is_zipfile(path):
            return f'it is cut off after {size} bytes; download it again'
        return 'it is a zip archive of something other than weights'
    return 'it is damaged, or it is not a checkpoint'


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        return f'a dict with the keys {sorted(map(str, content))[:8]}'
    return f'an object of type {type(content).__name__}'
