"""Checkpoints of a sharded model that any number of processes can load, also one without shards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor
from torch.distributed.tensor import DTensor

from .fully_sharded import FSDP2
from .sharded_weights import shard_like


@HOOKS.register_module()
class WholeCheckpointsHook(Hook):
    """Save whole tensors of a model that :class:`FSDP2` shards, and resume from them.

    mmengine saves in the first process only, which holds a part. Here all processes gather the
    weights, the optimizer's state and the averages, and the first one saves them. The file is the
    one that a run with DDP would write. ``tnt train`` adds this hook; other models are left alone.
    """

    priority = 'VERY_HIGH'  # before anything is saved or loaded

    def before_run(self, runner: Runner) -> None:
        """Change how the Runner saves, and how its optimizer loads."""
        if not isinstance(runner.model, FSDP2):
            return
        if not isinstance(runner.save_checkpoint, partial):
            runner.save_checkpoint = partial(_save, runner, runner.save_checkpoint)
        if isinstance(runner.optim_wrapper, OptimWrapper):
            runner.optim_wrapper.optimizer.register_load_state_dict_post_hook(_shard_states)


def _save(runner: Runner, save: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    with ExitStack() as patches:
        for source in _sources(runner):
            whole = whole_tensors(source.state_dict())
            patches.enter_context(
                patch.object(source, 'state_dict', lambda *_, whole=whole, **__: whole)
            )
        save(*args, **kwargs)


def _sources(runner: Runner) -> Iterator[Any]:
    """Yield what a checkpoint holds the state of."""
    yield runner.model.module
    yield runner.optim_wrapper
    yield from (hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook))


def whole_tensors(state: Any, *, everywhere: bool = False) -> Any:
    """Return a state dict with whole tensors on the CPU, where a process may hold parts of them.

    If it holds parts, all processes must call this at the same time.

    Args:
        state: Dicts, lists and tensors.
        everywhere: Give all processes the whole tensors. Otherwise, only the first gets them, and
            the others get ``None`` instead.
    """
    if isinstance(state, DTensor):
        whole: Tensor = state.full_tensor().detach()
        return whole.cpu() if everywhere or is_main_process() else None
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        # the attribute that torch gives a state dict is kept
        new = state.copy()
        new.update({key: whole_tensors(part, everywhere=everywhere) for key, part in state.items()})
        return new
    if isinstance(state, list):
        return [whole_tensors(part, everywhere=everywhere) for part in state]
    return state


def _shard_states(optimizer: torch.optim.Optimizer) -> None:
    """Shard what the optimizer has loaded like its parameters."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # a copy: the part must not keep the whole in memory
                state[name] = shard_like(value, parameter).clone()
