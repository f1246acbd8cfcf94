"""Whether the checkpoints of a training will fit on the disk, asked before its first step."""

import math
import shutil
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..errors import DiskError

# Tensors of a parameter's size that a checkpoint holds besides it, by an option of the optimizer
STATES = {'betas': 2, 'momentum': 1, 'alpha': 1}


def checkpoint_bytes(runner: Runner) -> tuple[int, int]:
    """Return the size of the weights, and about that of a whole checkpoint, in bytes."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    weights = sum(getattr(value, 'nbytes', 0) for value in model.state_dict().values())
    optimizer: Any = getattr(runner.optim_wrapper, 'optimizer', None)
    states = 0
    for group in getattr(optimizer, 'param_groups', ()):
        copies = max((copies for key, copies in STATES.items() if group.get(key)), default=0)
        states += copies * sum(parameter.nbytes for parameter in group['params'])
    return weights, weights + states


def check_room(runner: Runner, hook: CheckpointHook, folder: str) -> None:
    """Refuse a disk that has no room for one checkpoint, and warn of one that will be full.

    Raises:
        OSError: :class:`~tnt_backbone.errors.DiskError`, if not even the weights fit.
    """
    place = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
    free = shutil.disk_usage(place).free
    weights, whole = checkpoint_bytes(runner)
    if free < weights:
        raise DiskError(
            f'{folder} has {free:,} bytes free, and one checkpoint has at least {weights:,}. Free '
            'some space, or pass another --work-dir'
        )
    loop = runner.train_loop
    left = loop.max_epochs - loop.epoch if hook.by_epoch else loop.max_iters - loop.iter
    number = math.ceil(left / hook.interval) if hook.interval > 0 else 1
    if hook.max_keep_ckpts > 0:
        number = min(number, hook.max_keep_ckpts) + 1  # the oldest stays until the newest is there
    best = len(hook.save_best or ()) * 2
    needed = number * whole + best * weights
    there = sum(path.stat().st_size for path in Path(folder).glob('*.pth'))
    if free + there < needed:
        runner.logger.warning(
            f'{folder} has {free / 1e9:.2f} GB free, and the checkpoints of this training need '
            f'about {needed / 1e9:.2f} GB ({number} of {whole / 1e9:.2f} GB, and the best). Free '
            'some space, or keep fewer: --cfg-options default_hooks.checkpoint.max_keep_ckpts=1'
        )
