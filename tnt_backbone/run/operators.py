"""Lets detection and segmentation run with mmcv-lite, which has no compiled operators."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any

from .find_config import home

COMPILED = 'mmcv._ext'  # mmcv's compiled module


class _Replacement(MetaPathFinder):
    """Finds a replacement for mmcv's operators where Python found none."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return where ``tools/_mmcv_ext.py`` is, for the name of mmcv's module only."""
        if fullname != COMPILED:
            return None
        return spec_from_file_location(fullname, home() / 'tools' / '_mmcv_ext.py')


def replace_missing_operators() -> None:
    """Use operators made from torch and torchvision if mmcv has none; a second call does nothing.

    mmcv's own are found first, as this finder stands behind those of Python.
    """
    if not any(isinstance(finder, _Replacement) for finder in sys.meta_path):
        sys.meta_path.append(_Replacement())
