"""mmengine's and timm's training checkpoints under torch's safe reading.

From 2.6 on, ``torch.load`` reads with ``weights_only=True``, and mmengine 0.10.7 neither asks
otherwise nor says which of its own classes are harmless: it cannot read its own checkpoints. timm's
hold the command line, an ``argparse.Namespace``.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

STATISTICS = ('min', 'max', 'current', 'mean')


def _get_statistic(owner: Any, name: str) -> Callable:
    """Stand in for ``getattr``, by which a ``HistoryBuffer`` stores its four methods.

    ``getattr`` itself would let a file reach any function of Python.
    """
    if owner is not HistoryBuffer or name not in STATISTICS:
        raise ValueError(f'the checkpoint asks for {name!r} of {owner!r}, which is not allowed')
    return getattr(HistoryBuffer, name)


def _safe_globals() -> list[Any]:
    # The two functions by which numpy's pickles are made. numpy 2 moved numpy.core to numpy._core,
    # and a file may have been written under either.
    reconstruct, scalar = (value.__reduce__()[0] for value in (np.empty(0), np.float64(0)))
    homes = ('numpy.core.multiarray', 'numpy._core.multiarray')
    dtypes = {type(np.dtype(code)) for code in np.typecodes['All']}
    return [
        Namespace,
        HistoryBuffer,
        (_get_statistic, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        *dtypes,
        *((reconstruct, f'{home}._reconstruct') for home in homes),
        *((scalar, f'{home}.scalar') for home in homes),
    ]


def allow_mmengine_checkpoints() -> None:
    """Tell torch which classes are data: log histories, numpy arrays, timm's command line.

    Files with anything else in them are still refused.
    """
    torch.serialization.add_safe_globals(_safe_globals())
