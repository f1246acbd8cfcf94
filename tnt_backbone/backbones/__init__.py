"""The backbones; ``registry.py`` makes their names known to OpenMMLab."""

from .tnt import TNT

__all__ = ['TNT']
