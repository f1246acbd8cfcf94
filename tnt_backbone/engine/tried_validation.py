"""A trial of the validation before a training, which would else end at its first one."""

from typing import Any
from unittest.mock import patch

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, ValLoop
from torch.utils.data import DataLoader, IterableDataset

from .not_finite import random_state, set_random_state

MOST = 2  # pictures in a process
NOTE = (
    'The training has not begun. This was a trial of its validation, which would have ended it '
    'later. Mend val_dataloader or val_evaluator, pass --no-validate, or leave out the trial: '
    '--cfg-options try_validation=False'
)
# Packages whose hooks a validation of two pictures can do without, and the one that it cannot
KNOWN = ('mmengine', 'mmdet', 'mmseg', 'mmpretrain', 'tnt_backbone')
PREPARES = 'PrepareProtoBeforeValLoopHook'


@HOOKS.register_module()
class TriedValidationHook(Hook):
    """Validate two pictures before the training, as PyTorch Lightning does.

    This tries the pipeline of the validation, the predictions, and what the metrics take of both.
    The metrics themselves are not computed, as they need all pictures. Random numbers, model and
    metrics are as before.

    A validation that needs a hook to prepare it is not tried: that of a retrieval, which first sees
    its gallery, or with hooks of other packages.
    """

    priority = 'VERY_LOW'  # the model is ready, and no missed evaluation was made up for

    def before_train(self, runner: Runner) -> None:
        """Try it."""
        loop = runner.val_loop
        if not isinstance(loop, ValLoop) or any(map(_prepares_validation, runner.hooks)):
            return
        state, was_training = random_state(), runner.model.training
        runner.model.eval()
        try:
            if batch := _first_pictures(loop.dataloader):
                with patch.object(runner, '_hooks', []):  # they would count and draw it
                    loop.run_iter(0, batch)
        except Exception as error:
            error.add_note(NOTE)
            raise
        finally:
            for metric in getattr(loop.evaluator, 'metrics', ()):
                metric.results.clear()
            runner.model.train(was_training)
            set_random_state(state)


def _first_pictures(loader: DataLoader) -> Any:
    """Return a batch for this process without the loader's workers, or nothing."""
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset):
        return None
    chosen = range(get_rank(), len(dataset), get_world_size())
    number = min(MOST, loader.batch_size or MOST)
    return loader.collate_fn([dataset[i] for i in chosen[:number]]) if len(chosen) else None


def _prepares_validation(hook: Hook) -> bool:
    """Return whether a validation may not be possible without what a hook does before it."""
    kind = type(hook)
    if kind.__module__.partition('.')[0] in KNOWN:
        return kind.__name__ == PREPARES
    return not {'before_val', 'before_val_epoch'}.isdisjoint(hook.get_triggered_stages())
