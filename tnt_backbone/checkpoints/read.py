"""Reading of a file into a flat dict of tensors, without running code that the file may hold."""

import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .safe_globals import training_checkpoints_are_safe

# Keys under which training tools keep the weights, in order of preference. An average of the
# weights comes first, because it is what was evaluated.
WRAPPERS = ('state_dict_ema', 'model_ema', 'state_dict', 'model')
# Parts of a name that torch adds for torch.compile, activation checkpointing and FSDP.
WRAPPED = re.compile(r'\b(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module)\.')
# What averages of the weights keep beside ``module.``: torch's counter and mmengine's.
COUNTERS = ('n_averaged', 'steps')


def unwrapped_name(name: str) -> str:
    """Return a tensor's name, or a prefix, without the parts that torch's wrappers add."""
    return WRAPPED.sub('', name)


def read_tensors(path: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint.

    Pickles are read with ``weights_only=True``, ``.safetensors`` with safetensors. The weights are
    the first entry of ``WRAPPERS`` that the file has, or the file itself. A file that holds several
    models in other entries (``teacher``, ``student``) gives all of them, with the entry's name
    before their own. What torch's wrappers add to the names is removed: ``module.``,
    ``_orig_mod.``, ``_checkpoint_wrapped_module.``, ``_fsdp_wrapped_module.``.

    Args:
        path: A local file.

    Returns:
        The tensors. The attribute ``_metadata`` is torch's: what each module says of itself.

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
    tensors = _tensors_of(content)
    if not tensors:
        raise InputError(
            f'{path} holds no weights: it is {_describe(content)}, not a dict of tensors. Pass a '
            'checkpoint'
        )
    names = {key: unwrapped_name(key) for key in tensors}
    metadata = {
        unwrapped_name(f'{key}.').removesuffix('.'): value
        for key, value in getattr(content, '_metadata', {}).items()
    }
    while all(name.startswith('module.') or name in COUNTERS for name in names.values()):
        names = {
            key: name.removeprefix('module.')
            for key, name in names.items()
            if name.startswith('module.')
        }
        metadata = {key.removeprefix('module').lstrip('.'): metadata[key] for key in metadata}
    found: OrderedDict[str, Tensor] = OrderedDict(
        (name, tensors[key]) for key, name in names.items()
    )
    found._metadata = metadata  # type: ignore[attr-defined]
    return found


def _tensors_of(content: Any) -> dict[str, Tensor]:
    """Return the tensors of a state dict, or those of all state dicts of a dict."""
    if not isinstance(content, dict):
        return {}
    if tensors := {key: value for key, value in content.items() if isinstance(value, Tensor)}:
        return tensors
    return {
        f'{entry}.{key}': value
        for entry, part in content.items()
        if isinstance(part, dict)
        for key, value in part.items()
        if isinstance(value, Tensor)
    }


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
        raise InputError(
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
        raise InputError(
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
            return f'it is cut off after {size} bytes; get it again, or take an older one'
        return 'it is a zip archive of something other than weights'
    return 'it is damaged, or it is not a checkpoint'


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        return f'a dict with the keys {sorted(map(str, content))[:8]}'
    return f'an object of type {type(content).__name__}'
