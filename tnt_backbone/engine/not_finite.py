"""A loss that is no longer a number: stop before it is in the weights, and keep what led to it."""

import copy
import io
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from ..errors import InputError, NotFiniteError
from .safe_file import write_safely

FOLDER = 'not_finite'  # in the work folder
KEPT = 3  # files, if batches are skipped


def random_state() -> dict[str, Any]:
    """Return the state of all random generators."""
    state = {
        'python': random.getstate(),
        'numpy': np.random.get_state(),
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set all random generators to a state of :func:`random_state`."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    torch.set_rng_state(state['torch'])
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])


@HOOKS.register_module()
class NotFiniteHook(Hook):
    """Look at the gradients before each step of the optimizer, and at the loss after it.

    If one of them is infinite or not a number, the step is not made. Batch, weights, the
    optimizer's state and the random state go to ``<work folder>/not_finite``
    (:func:`tnt_backbone.run.replay.replay` repeats the iteration). A gradient that overflows under
    a loss scale is no fault: the scaler leaves that step out by itself.

    Args:
        action: ``'stop'`` ends the training; ``'skip'`` leaves out the step and goes on.
        max_skipped: As many skipped steps in a row end the training.
    """

    priority = 'NORMAL'  # before a checkpoint is saved

    def __init__(self, action: str = 'stop', max_skipped: int = 10) -> None:
        if action not in ('stop', 'skip'):
            raise InputError(f"not_finite={action!r} must be 'stop' or 'skip'")
        self.action, self.max_skipped = action, max_skipped
        self._losses: dict[str, Tensor] = {}
        self._in_a_row = self._kept = 0
        self._skipped_at = -1

    def before_train(self, runner: Runner) -> None:
        """Listen to the model and the optimizers."""
        self._runner = runner
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._handles = [model.register_forward_hook(self._note_losses)]
        for optimizer in _optimizers(runner.optim_wrapper):
            self._handles.append(optimizer.register_step_pre_hook(self._check_gradients))

    def after_train(self, runner: Runner) -> None:
        """Stop listening."""
        for handle in self._handles:
            handle.remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note the batch, and the random state, as they are before the step."""
        if isinstance(data_batch, list):  # of parts, see step_in_parts.py
            data_batch = [_with_own_samples(part) for part in data_batch]
        else:
            data_batch = _with_own_samples(data_batch)
        self._batch, self._random_state = data_batch, random_state()
        self._losses = {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the loss, which also tells where a loss scaler has left out the step.

        Raises:
            ArithmeticError: :class:`~tnt_backbone.errors.NotFiniteError`, if it is not finite.
        """
        loss = outputs.get('loss') if isinstance(outputs, dict) else None
        if self._skipped_at != runner.iter and not _is_number(loss):
            self._found('loss')
            self._skipped_at = runner.iter
        if self._skipped_at != runner.iter:
            self._in_a_row = 0

    def _note_losses(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        if not all(_is_number(loss.sum()) for loss in self._losses.values()):
            return  # of an earlier part of this iteration
        if isinstance(outputs, dict):
            self._losses = {
                name: torch.stack([torch.as_tensor(part).detach().float().mean() for part in value])
                if isinstance(value, (list, tuple))
                else torch.as_tensor(value).detach()
                for name, value in outputs.items()
            }

    def _check_gradients(self, optimizer: torch.optim.Optimizer, *args: Any) -> None:
        if getattr(optimizer, 'found_inf', None) is not None:
            return  # a fused optimizer, which asks the loss scaler itself
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group['params']
            if type(parameter.grad) is Tensor  # not a part of one that is spread over processes
        ]
        if gradients and not _is_finite(gradients):
            self._found('gradients')
            optimizer.zero_grad(set_to_none=True)  # a step without gradients changes nothing
            self._skipped_at = self._runner.iter

    def _found(self, what: str) -> None:
        """Keep what led here, and stop or go on."""
        runner = self._runner
        self._in_a_row += 1
        losses = ', '.join(f'{name}={value.tolist()}' for name, value in self._losses.items())
        text = f'iteration {runner.iter + 1}: {what} not finite ({losses})'
        if get_world_size() > 1 and all(_is_number(loss.sum()) for loss in self._losses.values()):
            text += '. These losses are finite, so the cause is in the batch of another process'
        kept = self._keep() if self._kept < KEPT else 'not kept'
        spoiled = _not_finite_tensors(runner.model)
        if self.action == 'skip' and self._in_a_row < self.max_skipped and not spoiled:
            runner.logger.warning(f'{text}. The step is left out. Batch and weights: {kept}')
            return
        why = ''
        if self.action == 'skip':
            why = f' Not skipped: {self._in_a_row} in a row, or {spoiled[:3]} are not finite.'
        raise NotFiniteError(
            f'{text}. The training ends.{why} Its checkpoints are from before. Batch, weights and '
            f'random state: {kept} (docs/reliability.md shows how to replay them). Lower the '
            'learning rate, clip the gradients (optim_wrapper.clip_grad.max_norm=1), or leave such '
            'steps out: --cfg-options not_finite=skip'
        )

    def _keep(self) -> str:
        runner = self._runner
        self._kept += 1
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        content = {
            'meta': {
                'cfg': runner.cfg.pretty_text,
                'iter': runner.iter,
                'epoch': runner.epoch,
                'seed': runner.seed,
            },
            'losses': self._losses,
            'state_dict': model.state_dict(),
            'optimizer': runner.optim_wrapper.state_dict(),
            'batch': self._batch,
            'random_state': self._random_state,
        }
        path = Path(runner.work_dir) / FOLDER / f'iter_{runner.iter + 1}_process_{get_rank()}.pth'
        buffer = io.BytesIO()
        try:
            torch.save(content, buffer)
            write_safely(path, buffer.getvalue())
        except Exception as error:  # what was found is more important
            return f'could not be kept ({error})'
        return str(path)


def _with_own_samples(batch: Any) -> Any:
    """Return a batch whose samples are copies: the libraries' preprocessors write into them."""
    if isinstance(batch, dict) and 'data_samples' in batch:
        return {**batch, 'data_samples': copy.deepcopy(batch['data_samples'])}
    return batch


def _optimizers(wrapper: Any) -> Iterator[torch.optim.Optimizer]:
    """Return the optimizers of a wrapper, or of a dict of wrappers."""
    for each in wrapper.values() if hasattr(wrapper, 'optim_wrappers') else [wrapper]:
        if isinstance(getattr(each, 'optimizer', None), torch.optim.Optimizer):
            yield each.optimizer


def _is_number(loss: Any) -> bool:
    return loss is None or math.isfinite(torch.as_tensor(loss).item())


def _is_finite(tensors: list[Tensor]) -> bool:
    """Return whether all numbers are finite; waits once for the device."""
    dense = [tensor.coalesce().values() if tensor.is_sparse else tensor for tensor in tensors]
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(dense)])
    if math.isfinite(float(norms.sum())):
        return True
    # squares of finite numbers may overflow; to look at each number takes ten times as long
    return all(bool(torch.isfinite(tensor).all()) for tensor in dense)


def _not_finite_tensors(model: nn.Module) -> list[str]:
    """Return the names of weights and statistics that are spoiled."""
    return [
        name
        for name, value in model.state_dict().items()
        if isinstance(value, Tensor) and not torch.isfinite(value).all()
    ]
