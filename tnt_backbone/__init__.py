"""Transformer-in-Transformer backbones for MMDetection, MMSegmentation and MMPretrain.

``import tnt_backbone`` imports nothing else: the backbones, and torch with them, follow when they
are first asked for. mmengine knows them as soon as both are imported, in either order.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__
from .waiting import register_when_possible

if TYPE_CHECKING:
    from .backbones import TNT, PyramidTNT, T2TViT
    from .predict.load import load_model
    from .registry import MODELS

__all__ = ['MODELS', 'TNT', 'PyramidTNT', 'T2TViT', '__version__', 'load_model']

_HOMES = {
    'TNT': 'backbones',
    'PyramidTNT': 'backbones',
    'T2TViT': 'backbones',
    'MODELS': 'registry',
    'load_model': 'predict.load',
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_possible()
