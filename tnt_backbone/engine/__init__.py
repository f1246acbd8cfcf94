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
from .fitting_checkpoint import FittingCheckpointHook
from .fully_sharded import FSDP2
from .layer_decay import LayerDecayOptimWrapperConstructor
from .missed_evaluation import MissedEvaluationHook
from .not_finite import NotFiniteHook
from .safe_checkpoint import SafeCheckpointHook
from .slow_backbone import SlowBackboneOptimWrapperConstructor
from .step_in_parts import StepInPartsHook, collate_parts
from .stop_early import StopEarlyHook
from .stop_on_signal import StopOnSignalHook
from .stuck import StuckHook
from .trial_run import TrialRunHook
from .whole_checkpoints import WholeCheckpointsHook

__all__ = [
    'FSDP2',
    'CompileBackboneHook',
    'CpuAmpOptimWrapper',
    'FittingCheckpointHook',
    'LayerDecayOptimWrapperConstructor',
    'LoadImageOrSkip',
    'LoadImageScaled',
    'MissedEvaluationHook',
    'NotFiniteHook',
    'RelabelPixels',
    'SafeCheckpointHook',
    'SlowBackboneOptimWrapperConstructor',
    'StepInPartsHook',
    'StopEarlyHook',
    'StopOnSignalHook',
    'StuckHook',
    'TrialRunHook',
    'WholeCheckpointsHook',
    'collate_parts',
    'load_from_published',
]
