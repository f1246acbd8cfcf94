"""An optimizer step whose batch is computed in parts, one after the other.

mmengine's ``accumulative_counts`` sums the gradients of several iterations. So whatever counts
iterations (schedules, checkpoints, the length of a run) would change with the number of parts. Here
the parts belong to one iteration, so a run may be resumed with another number of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS
from mmengine.runner import Runner
from torch import Tensor

HOOK = 'StepInPartsHook'


def parts_of(cfg: dict[str, Any]) -> int:
    """Return in how many parts a process computes its batch."""
    hooks = cfg.get('custom_hooks') or []
    return next((hook['parts'] for hook in hooks if hook.get('type') == HOOK), 1)


def accumulated(cfg: dict[str, Any]) -> int:
    """Return how many iterations an optimizer step takes; the parts of a batch are one."""
    return (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1) // parts_of(cfg)


def images_per_step(cfg: dict[str, Any], processes: int) -> int:
    """Return the images of an optimizer step in all processes."""
    return processes * (cfg['train_dataloader'].get('batch_size') or 1) * accumulated(cfg)


@FUNCTIONS.register_module()
def collate_parts(samples: list[Any], *, parts: int, collate: Any) -> list[Any]:
    """Return the batch of a process as a list of smaller batches.

    The samplers of mmengine give process ``r`` of ``N`` the images ``r, r + N, r + 2 N, ...``. So
    every ``parts``-th image of this process makes the batch of one of ``parts * N`` processes.

    Args:
        samples: The samples of the batch. If they cannot be divided equally, some occur twice, as
            mmengine's samplers do at the end of an epoch.
        parts: Number of parts.
        collate: What makes a batch of samples: a function, or its config.
    """
    if isinstance(collate, dict):
        arguments = {key: value for key, value in collate.items() if key != 'type'}
        kind = collate['type']
        function = FUNCTIONS.get(kind) if isinstance(kind, str) else kind
        collate = partial(function, **arguments)
    missing = -len(samples) % parts
    samples = samples + (samples * missing)[:missing]
    return [collate(samples[part::parts]) for part in range(parts)]


@HOOKS.register_module()
class StepInPartsHook(Hook):
    """Let each iteration compute the parts of :func:`collate_parts`, and make one step.

    ``optim_wrapper.accumulative_counts`` must count the parts, too: ``parts`` times as many.

    Args:
        parts: Number of parts of an iteration.
    """

    def __init__(self, parts: int) -> None:
        self.parts = parts

    def before_train(self, runner: Runner) -> None:
        """Replace the model's step."""
        runner.optim_wrapper.initialize_count_status(
            runner.model, runner.iter * self.parts, runner.max_iters * self.parts
        )
        self._whole = runner.model.train_step
        runner.model.train_step = partial(step_in_parts, self._whole)

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        runner.model.train_step = self._whole


def step_in_parts(
    train_step: Callable[..., dict[str, Any]], data: list[Any], optim_wrapper: Any
) -> dict[str, Any]:
    """Let a model compute the parts of a batch, and return the means of what it logs.

    Args:
        train_step: Of the model.
        data: The parts.
        optim_wrapper: Sums the gradients, and makes the step after the last part.
    """
    logs: dict[str, list[Any]] = {}
    for part in data:
        for name, value in train_step(part, optim_wrapper=optim_wrapper).items():
            # detached: the graph of a part must not outlive it
            logs.setdefault(name, []).append(value.detach() if isinstance(value, Tensor) else value)
    return {name: _mean(values) for name, values in logs.items()}


def _mean(values: list[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.stack([value.float() for value in values]).mean(0)
    return sum(values) / len(values)
