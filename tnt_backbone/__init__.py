"""Transformer-in-Transformer backbones for MMDetection, MMSegmentation and MMPretrain."""

from .backbones import TNT
from .registry import MODELS
from .version import __version__

__all__ = ['MODELS', 'TNT', '__version__']
