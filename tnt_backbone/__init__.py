"""Transformer-in-Transformer backbones for MMDetection, MMSegmentation and MMPretrain."""

from importlib.util import find_spec

if find_spec('mmengine') is None:  # it has two names on PyPI, so that setup.py requires neither
    raise ImportError(
        "tnt_backbone needs mmengine: pip install 'tnt-backbone[openmmlab]', or "
        "'tnt-backbone[onedl]' for the maintained forks"
    )

from .backbones import TNT, PyramidTNT, T2TViT
from .registry import MODELS
from .version import __version__

__all__ = ['MODELS', 'TNT', 'PyramidTNT', 'T2TViT', '__version__']
