"""What a config names and mmengine runs: hooks, optimizer wrappers and their constructors.

Importing it registers what ``__all__`` names, and the loader of ``tnt://`` checkpoints, with
mmengine.
"""

from ..checkpoint_loaders import load_from_published
from ..datasets.load_image import LoadImageOrSkip
from ..datasets.load_scaled import LoadImageScaled
from ..datasets.relabel import RelabelPixels
from .amp import CpuAmpOptimWrapper
from .compile_backbone import CompileBackboneHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .missed_evaluation import MissedEvaluationHook
from .not_finite import NotFiniteHook
from .safe_checkpoint import SafeCheckpointHook
from .slow_backbone import SlowBackboneOptimWrapperConstructor
from .stop_early import StopEarlyHook
from .stop_on_signal import StopOnSignalHook
from .stuck import StuckHook

__all__ = [
    'CompileBackboneHook',
    'CpuAmpOptimWrapper',
    'LayerDecayOptimWrapperConstructor',
    'LoadImageOrSkip',
    'LoadImageScaled',
    'MissedEvaluationHook',
    'NotFiniteHook',
    'RelabelPixels',
    'SafeCheckpointHook',
    'SlowBackboneOptimWrapperConstructor',
    'StopEarlyHook',
    'StopOnSignalHook',
    'StuckHook',
    'load_from_published',
]
