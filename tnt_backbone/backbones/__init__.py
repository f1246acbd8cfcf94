"""The backbones; ``registry.py`` makes their names known to OpenMMLab."""

from .pyramid_tnt import PyramidTNT
from .t2t_vit import T2TViT
from .tnt import TNT

BACKBONES = (TNT, PyramidTNT, T2TViT)  # the contract tests run over these

__all__ = ['BACKBONES', 'TNT', 'PyramidTNT', 'T2TViT']
