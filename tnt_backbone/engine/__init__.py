"""What a config names and mmengine runs: hooks, optimizer wrappers and their constructors.

Importing it registers ``CompileBackboneHook``, ``CpuAmpOptimWrapper``,
``LayerDecayOptimWrapperConstructor``, ``LoadImageOrSkip``, ``LoadImageScaled``, ``RelabelPixels``,
``SlowBackboneOptimWrapperConstructor`` and the loader of ``tnt://`` checkpoints with mmengine.
"""

from ..checkpoint_loaders import load_from_published
from ..datasets.load_image import LoadImageOrSkip
from ..datasets.load_scaled import LoadImageScaled
from ..datasets.relabel import RelabelPixels
from .amp import CpuAmpOptimWrapper
from .compile_backbone import CompileBackboneHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .slow_backbone import SlowBackboneOptimWrapperConstructor

__all__ = [
    'CompileBackboneHook',
    'CpuAmpOptimWrapper',
    'LayerDecayOptimWrapperConstructor',
    'LoadImageOrSkip',
    'LoadImageScaled',
    'RelabelPixels',
    'SlowBackboneOptimWrapperConstructor',
    'load_from_published',
]
