"""The backbones; ``registry.py`` registers them with OpenMMLab."""

from .pyramid_tnt import PyramidTNT
from .t2t_vit import T2TViT
from .tnt import TNT

BACKBONES = (TNT, PyramidTNT, T2TViT)  # registered with mmengine; the contract tests run over them

__all__ = ['BACKBONES', 'TNT', 'PyramidTNT', 'T2TViT']
