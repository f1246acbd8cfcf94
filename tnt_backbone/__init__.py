"""Transformer-in-Transformer backbones for MMDetection, MMSegmentation and MMPretrain."""

from .backbones import TNT, PyramidTNT, T2TViT
from .registry import MODELS
from .version import __version__

__all__ = ['MODELS', 'TNT', 'PyramidTNT', 'T2TViT', '__version__']
