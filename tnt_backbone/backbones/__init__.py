"""The backbones; ``registry.py`` makes their names known to OpenMMLab."""

from .pyramid_tnt import PyramidTNT
from .t2t_vit import T2TViT
from .tnt import TNT

__all__ = ['TNT', 'PyramidTNT', 'T2TViT']
