"""A hook that logs how much memory each training process took."""

import resource
import sys

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

PEAK_MEMORY = 'peak_memory_mb/rank{rank}'  # what a process is called in the log


def peak_memory_mb() -> float:
    """Most memory this process has held, in MB of 2**20 bytes: the GPU's, or else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == 'darwin' else 2**10  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


@HOOKS.register_module()
class PeakMemoryHook(Hook):
    """Write each process's :func:`peak_memory_mb` into the scalars when training ends."""

    def after_train(self, runner: Runner) -> None:
        """Gather the peaks of all processes."""
        peaks = all_gather_object(peak_memory_mb())
        scalars = {PEAK_MEMORY.format(rank=rank): peak for rank, peak in enumerate(peaks)}
        runner.visualizer.add_scalars(scalars, step=runner.iter)
