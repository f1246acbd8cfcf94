"""Classes that ``torch.load`` may read in training checkpoints of mmengine and timm.

Since 2.6, ``torch.load`` reads with ``weights_only=True`` and refuses every class that it does not
know. mmengine 0.10.7 does not register its harmless classes, so it cannot read its own checkpoints.
timm's checkpoints hold the command line, an ``argparse.Namespace``.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch

from ..errors import InputError

HISTORY = 'mmengine.logging.history_buffer'
STATISTICS = ('min', 'max', 'current', 'mean')


class HistoryBuffer:
    """A replacement for mmengine's class of this name, for reading a file without mmengine."""

    def _missing(self) -> None:
        raise NotImplementedError('The statistics of a log need mmengine. Install mmengine')

    min = max = current = mean = _missing


def _history_class() -> type:
    module = sys.modules.get(HISTORY)
    return HistoryBuffer if module is None else module.HistoryBuffer


def _get_statistic(owner: Any, name: str) -> Callable:
    """Return a method of ``HistoryBuffer``; it replaces ``getattr``, which the file asks for.

    ``getattr`` itself would let a file reach any function of Python.
    """
    if owner is not _history_class() or name not in STATISTICS:
        raise InputError(f'The checkpoint asks for {name!r} of {owner!r}, which is not allowed')
    return getattr(owner, name)


def _numpy_globals() -> list[Any]:
    if find_spec('numpy') is None:
        return []
    import numpy as np

    # The two functions that numpy's pickles call. numpy 2 moved numpy.core to numpy._core,
    # and a file may have been written under either.
    reconstruct, scalar = (value.__reduce__()[0] for value in (np.empty(0), np.float64(0)))
    homes = ('numpy.core.multiarray', 'numpy._core.multiarray')
    dtypes = {type(np.dtype(code)) for code in np.typecodes['All']}
    return [
        np.ndarray,
        np.dtype,
        *dtypes,
        *((reconstruct, f'{home}._reconstruct') for home in homes),
        *((scalar, f'{home}.scalar') for home in homes),
    ]


def _safe_globals() -> list[Any]:
    return [
        Namespace,
        (_history_class(), f'{HISTORY}.HistoryBuffer'),
        (_get_statistic, 'builtins.getattr'),
        *_numpy_globals(),
    ]


@contextmanager
def training_checkpoints_are_safe() -> Iterator[None]:
    """Let ``torch.load`` read log histories, numpy arrays and timm's command line, as data.

    Files with anything else in them are still refused. Afterwards torch's own list is as before.
    """
    before = torch.serialization.get_safe_globals()
    added = [entry for entry in _safe_globals() if entry not in before]
    torch.serialization.add_safe_globals(added)
    try:
        yield
    finally:
        # not safe_globals() of torch: it would take away what the user had added, too
        kept = [entry for entry in torch.serialization.get_safe_globals() if entry not in added]
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(kept)
