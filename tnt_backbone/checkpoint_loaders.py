"""How mmengine reads checkpoints: as data only, its own ones, and those of other sources.

mmengine's loaders let a file run code: those of addresses always, that of local files with older
versions of torch and in a fork, which reads again without care what was refused. Here all of them
read with ``weights_only=True``, and may meet what mmengine's checkpoints hold.

mmengine loads the tensors whose names it knows, which are none in a file of the authors or of timm.
It chooses a loader from the prefix of a file name. After our prefix ``tnt://`` stands a published
name, a URL or a path, and our loader returns the names of OpenMMLab's models.

The package imports this file when mmengine's loaders exist (``waiting.py``).
"""

import functools
import logging
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch.utils.serialization
from mmengine.runner.checkpoint import CheckpointLoader

from .checkpoints import resolve_checkpoint
from .checkpoints.archive import can_be_mapped
from .checkpoints.convert import from_ours, to_ours
from .checkpoints.published import SCHEME
from .checkpoints.read import code_in, read_tensors
from .checkpoints.safe_globals import training_checkpoints_are_safe
from .errors import InputError

Load = Callable[..., Any]
# torch's switches: with the first, torch.load reads only data; with the second, the user says that
# it may run code
DATA_ONLY = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
CODE_TOO = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


@contextmanager
def only_data() -> Iterator[None]:
    """Let ``torch.load`` read checkpoints of mmengine, and refuse code whoever calls it."""
    forced = {} if CODE_TOO in os.environ else {DATA_ONLY: '1'}
    with training_checkpoints_are_safe(), patch.dict(os.environ, forced):
        yield


@contextmanager
def _mapped(filename: str) -> Iterator[None]:
    """Let ``torch.load`` map a local file, so that the processes of a machine share its memory."""
    path = os.path.expanduser(filename)
    if not (zipfile.is_zipfile(path) and can_be_mapped(path)):
        yield
        return
    with patch.object(torch.utils.serialization.config.load, 'mmap', True):
        yield


def _as_data(load: Load) -> Load:
    """Return a loader of mmengine that runs no code of the file."""

    @functools.wraps(load)
    def load_as_data(filename: str, *args: Any, **kwargs: Any) -> Any:
        try:
            with only_data(), _mapped(filename):
                return load(filename, *args, **kwargs)
        except pickle.UnpicklingError as error:
            code = code_in(error)
            what = f'needs the code {code}, but code' if code else f'is damaged ({error}), or code'
            raise InputError(
                f'{filename} {what} in a checkpoint is never run. Save only tensors, numbers and '
                f'texts. If you trust the file, set {CODE_TOO}=1'
            ) from error

    return load_as_data


for _prefix, _load in list(CheckpointLoader._schemes.items()):
    CheckpointLoader.register_scheme(prefixes=_prefix, loader=_as_data(_load), force=True)


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_published(
    filename: str,
    map_location: Any = None,
    logger: logging.Logger | str | None = None,
) -> dict[str, Any]:
    """Load weights of any source as those of a full model: ``backbone.*`` and ``head.fc.*``.

    Args:
        filename: What :func:`tnt_backbone.checkpoints.resolve_checkpoint` takes.
        map_location: Not used: the tensors are on the CPU, and are copied from there.
        logger: Not used.

    Raises:
        FileNotFoundError: If the file is not there and cannot be fetched.
        ValueError: If it holds no weights in a form that is known.
    """
    tensors = read_tensors(resolve_checkpoint(filename))
    return {'state_dict': from_ours(to_ours(tensors), 'tnt_backbone')}
