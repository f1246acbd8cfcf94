"""What a run in many processes would be: built here by one process, without GPUs, and not started.

torch's ``fake`` process group lets this process believe that it is the first of many. mmengine's
Runner then builds data loader, wrapped model and optimizer as it would in a run.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..engine.fully_sharded import FSDP2
from ..engine.step_in_parts import accumulated
from ..errors import InputError
from .processes import suit_wrapper_to_cpu
from .runner import build_runner

WARM_UPS = ('LinearLR', 'ConstantLR')  # schedulers that rise to the learning rate


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """The numbers of a run.

    Attributes:
        processes: Number of processes, one per GPU.
        images: Images of one process in one iteration.
        accumulation: Iterations of one optimizer step.
        base_batch_size: Images per step that the config's learning rate is for, if it says so.
        learning_rates: Smallest and largest of the optimizer's groups, before the schedule.
        scaled: Whether they were scaled with the batch (``--auto-scale-lr``).
        data: Images of the training data, ``None`` if the data is not here.
        iterations: Iterations in all; ``None`` if that takes the data.
        iterations_per_epoch: ``None`` if the data is not here.
        warm_up: Key of the longest warm-up that counts iterations, and the iteration where it ends;
            ``('', 0)`` if there is none.
        wrapper: Class of the wrapped model.
        trained: Numbers that are trained, on one process.
        memory: Bytes in one process, by what they are for.
        all_reduce: Bytes of gradients that are summed over the processes in each step; ``None`` for
            models that are sharded.
    """

    processes: int
    images: int
    accumulation: int
    base_batch_size: int | None
    learning_rates: tuple[float, float]
    scaled: bool
    data: int | None
    iterations: int | None
    iterations_per_epoch: int | None
    warm_up: tuple[str, int]
    wrapper: str
    trained: int
    memory: dict[str, int]
    all_reduce: int | None

    @property
    def global_batch(self) -> int:
        """Images of one optimizer step, in all processes."""
        return self.processes * self.images * self.accumulation


def dry_run(cfg: Config, processes: int, *, has_data: bool) -> DryRun:
    """Build a run and return its numbers.

    Args:
        cfg: The config; it is changed.
        processes: Number of processes.
        has_data: Whether the training data is here. Without it, numbers that depend on it are
            ``None``.

    Raises:
        ValueError: If this torch has no ``fake`` process group, or the data is too small.
    """
    if 'runner_type' in cfg:
        raise InputError(
            f"--dry-run builds mmengine's Runner, and the config has runner_type="
            f'{cfg.runner_type!r}. Leave --dry-run out'
        )
    with (
        _pretended_processes(processes),
        TemporaryDirectory() as folder,
        # seconds for files that nobody reads
        patch.object(Runner, '_log_env'),
        patch.object(Runner, 'dump_config'),
    ):
        suit_wrapper_to_cpu(cfg)
        cfg.launcher, cfg.work_dir, cfg.log_level = 'pytorch', folder, 'CRITICAL'
        cfg.visualizer = {'type': 'Visualizer'}  # the config's may speak to a server
        return _numbers(build_runner(cfg, []), cfg, processes, has_data=has_data)


@contextmanager
def _pretended_processes(number: int) -> Iterator[None]:
    if not hasattr(distributed.Backend, 'FAKE'):
        raise InputError(
            f'--dry-run needs the process group "fake", which torch {torch.__version__} does not '
            'have. Install torch 2.11'
        )
    # what a launcher sets, and the threads that mmengine would set with a warning
    variables = {'RANK': '0', 'LOCAL_RANK': '0', 'WORLD_SIZE': str(number)}
    threads = {name: os.environ.get(name, '1') for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')}
    distributed.init_process_group('fake', rank=0, world_size=number)
    try:
        with patch.dict(os.environ, variables | threads):
            yield
    finally:
        distributed.destroy_process_group()


def _numbers(runner: Runner, cfg: Config, processes: int, *, has_data: bool) -> DryRun:
    images = cfg.train_dataloader.get('batch_size') or 1
    iterations, per_epoch, data = cfg.train_cfg.get('max_iters'), None, None
    if has_data:
        loop = runner.build_train_loop(runner._train_loop)
        data, per_epoch = len(loop.dataloader.dataset), len(loop.dataloader)
        iterations = int(loop.max_iters)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(wrapper, runner.auto_scale_lr)
    rates = [group['lr'] for group in wrapper.optimizer.param_groups]
    scale = runner.auto_scale_lr or {}
    parameters = [p for p in runner.model.parameters() if p.requires_grad]
    memory = {
        'parameters and buffers': _bytes([*runner.model.parameters(), *runner.model.buffers()]),
        'gradients': _bytes(parameters),
        'optimizer': _optimizer_bytes(wrapper.optimizer, parameters),
    }
    is_ddp = isinstance(runner.model, DistributedDataParallel)
    if is_ddp and not runner.model.gradient_as_bucket_view:
        memory["all-reduce's copy of the gradients"] = memory['gradients']
    if isinstance(runner.model, FSDP2):
        memory['gathered weights'] = runner.model.gathered_bytes
    if any(isinstance(hook, EMAHook) for hook in runner.hooks):
        memory['moving average of the weights'] = memory['parameters and buffers']
    return DryRun(
        processes=processes,
        images=images,
        accumulation=accumulated(cfg),
        base_batch_size=(cfg.get('auto_scale_lr') or {}).get('base_batch_size'),
        learning_rates=(min(rates), max(rates)),
        scaled=bool(scale.get('enable')),
        data=data,
        iterations=iterations,
        iterations_per_epoch=per_epoch,
        warm_up=_warm_up(cfg.get('param_scheduler') or []),
        wrapper=type(runner.model).__name__,
        trained=sum(_local(p).numel() for p in parameters),
        memory=memory,
        all_reduce=memory['gradients'] if is_ddp else None,
    )


def _local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that lies in this process."""
    return tensor.to_local() if hasattr(tensor, 'to_local') else tensor


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(_local(t).numel() * t.element_size() for t in tensors)


def _optimizer_bytes(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> int:
    """Let the optimizer make a step without gradients, and return the bytes that it keeps."""
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    states = [value for state in optimizer.state.values() for value in state.values()]
    return _bytes(value for value in states if isinstance(value, Tensor))


def _warm_up(schedulers: Any) -> tuple[str, int]:
    """Return the key of the longest warm-up that counts iterations, and where it ends."""
    several = isinstance(schedulers, list)
    ends = [
        (
            scheduler.get('end') or 0,
            f'param_scheduler.{i}.end' if several else 'param_scheduler.end',
        )
        for i, scheduler in enumerate(schedulers if several else [schedulers])
        if scheduler.get('type') in WARM_UPS and not scheduler.get('by_epoch', True)
    ]
    end, key = max(ends, default=(0, ''))
    return key, end
