"""Reading of a file into a flat dict of tensors, without running code that the file may hold."""

import pickle
import re
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .archive import ArchiveError, can_be_mapped, require_intact
from .safe_globals import training_checkpoints_are_safe
from .usable import fault_of, require_moderate

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
        ValueError: If the file is damaged, holds no tensors, or more than data. The message says
            what the file is.
    """
    return tensors_in(read_content(path), path)


def read_content(path: str) -> Any:
    """Return all that a checkpoint holds, after a look at its checksums.

    Args:
        path: A local file.

    Raises:
        ValueError: If the file is damaged, or holds more than data.
    """
    with open(path, 'rb') as file:
        head = file.read(512)
    if head[8:9] == b'{':  # safetensors: the length of a JSON header, then the header
        return _read_safetensors(path)
    return _read_pickle(path, head, with_checksums=True)


def tensors_in(content: Any, path: str) -> dict[str, Tensor]:
    """Return the tensors of what :func:`read_content` returned; see :func:`read_tensors`."""
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = _tensors_of(content)
    if not tensors:
        raise InputError(
            f'{path} holds no weights: it is {_describe(content)}, not a dict of tensors. Pass a '
            'checkpoint'
        )
    for key, tensor in tensors.items():
        if fault := fault_of(tensor):
            raise InputError(
                f'{path}: {key} {fault}, so it cannot be loaded into a model. Save the weights as '
                'ordinary tensors'
            )
    require_moderate(tensors, path)
    names = {key: unwrapped_name(key) for key in tensors}
    metadata = {
        unwrapped_name(f'{key}.').removesuffix('.'): value
        for key, value in _metadata_of(content).items()
    }
    while any(name.startswith('module.') for name in names.values()) and all(
        name.startswith('module.') or name in COUNTERS for name in names.values()
    ):
        names = {
            key: name.removeprefix('module.')
            for key, name in names.items()
            if name.startswith('module.')
        }
        metadata = {key.removeprefix('module').lstrip('.'): metadata[key] for key in metadata}
    times = Counter(names.values())
    if twice := [key for key, name in names.items() if times[name] > 1]:
        raise InputError(
            f'{path} has several tensors for one name: {", ".join(twice[:4])}. Save the weights of '
            'one model'
        )
    found: OrderedDict[str, Tensor] = OrderedDict(
        (name, tensors[key]) for key, name in names.items()
    )
    found._metadata = metadata  # type: ignore[attr-defined]
    return found


def _tensors_of(content: Any) -> dict[str, Tensor]:
    """Return the tensors of a state dict, or those of all state dicts of a dict."""
    if not isinstance(content, dict):
        return {}
    if tensors := _named_tensors(content):
        return tensors
    return {
        f'{entry}.{key}': value
        for entry, part in content.items()
        if isinstance(part, dict)
        for key, value in _named_tensors(part).items()
    }


def _named_tensors(content: dict[Any, Any]) -> dict[str, Tensor]:
    return {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def _metadata_of(content: Any) -> dict[str, Any]:
    """Return what the modules say of themselves; what a file says there may be anything."""
    metadata = getattr(content, '_metadata', None)
    return metadata if isinstance(metadata, dict) else {}


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
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # SafetensorError, and others for types that torch does not have
        raise InputError(
            f'{path} cannot be read as safetensors: it is damaged or cut off ({error}). Download '
            'it again'
        ) from error


def _read_pickle(path: str, head: bytes, *, with_checksums: bool = False) -> Any:
    try:
        # Mapped into memory: the processes of a machine share what is read from the disk. The
        # older of torch's two formats cannot be mapped.
        mmap = head[:2] == b'PK' and can_be_mapped(path)
        if with_checksums and head[:2] == b'PK':
            require_intact(path)
        with training_checkpoints_are_safe():
            return torch.load(path, map_location='cpu', weights_only=True, mmap=mmap)
    except ArchiveError:
        raise
    except Exception as error:  # damaged bytes make torch fail in any way
        raise InputError(
            f'{path} cannot be read as weights: {_diagnose(path, head, error)}'
        ) from error


# What is given instead of weights, by its ending
OTHER_FILES = {
    '.py': 'it is a program or a config. Pass the .pth file of its run',
    '.json': 'it is a JSON file. Pass a .pth file',
    '.onnx': 'it is an exported file, for tnt predict and tnt app only. Pass a .pth file',
}


def _diagnose(path: str, head: bytes, error: Exception) -> str:
    """Return what is wrong with a file that torch could not read."""
    start = head.lstrip()[:64].lower()
    if not head:
        return 'the file is empty; download it again'
    if start.startswith((b'<!doctype', b'<html', b'<?xml')):
        return 'it is a web page, not weights (the answer to a failed download); download it again'
    if start.startswith(b'version https://git-lfs'):
        return 'it is a Git LFS pointer, not the file itself; run "git lfs pull"'
    if code := code_in(error):
        return f'it needs the code {code}, but code in a checkpoint is never run; save only tensors'
    if head[:2] == b'PK':
        size = Path(path).stat().st_size
        if not zipfile.is_zipfile(path):
            return f'it is cut off after {size} bytes; get it again, or take an older one'
        return 'it is a zip archive of something other than weights'
    return OTHER_FILES.get(Path(path).suffix, 'it is damaged, or it is not a checkpoint')


def code_in(error: Exception) -> str | None:
    """Return the function or class that a file asks for, out of torch's refusal to call it."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    found = re.search(r'(?:GLOBAL|global|class) (\w[\w.]+)', str(error))
    return found[1] if found else None


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        return f'a dict with the keys {sorted(map(str, content))[:8]}'
    return f'an object of type {type(content).__name__}'
