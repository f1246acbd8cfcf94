"""A trial of what comes late in a training, so that it does not end there."""

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from mmcv.transforms import Compose
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, ValLoop
from torch.utils.data import DataLoader, IterableDataset

from .not_finite import random_state, set_random_state

MOST = 2  # pictures in a process
# Packages whose hooks a validation of two pictures can do without, and the one that it cannot
KNOWN = ('mmengine', 'mmdet', 'mmseg', 'mmpretrain', 'tnt_backbone')
PREPARES = 'PrepareProtoBeforeValLoopHook'


@HOOKS.register_module()
class TrialRunHook(Hook):
    """Before a training, validate two pictures, as PyTorch Lightning does, and try later pipelines.

    This tries the pipeline of the validation, the predictions, and what the metrics take of both.
    The metrics themselves are not computed, as they need all pictures. A pipeline that a hook
    switches to at a later epoch (MMDetection's ``PipelineSwitchHook``) gets a picture. Random
    numbers, model and metrics are as before.

    A validation that needs a hook to prepare it is not tried: that of a retrieval, which first sees
    its gallery, or with hooks of other packages.
    """

    priority = 'VERY_LOW'  # the model is ready, and no missed evaluation was made up for

    def before_train(self, runner: Runner) -> None:
        """Try both."""
        state = random_state()
        try:
            if isinstance(runner.val_loop, ValLoop):
                _try_validation(runner)
            for hook in runner.hooks:
                if pipeline := getattr(hook, 'switch_pipeline', None):
                    _try_pipeline(runner, pipeline, type(hook).__name__)
        finally:
            set_random_state(state)


def _try_validation(runner: Runner) -> None:
    if any(map(_prepares_validation, runner.hooks)):
        return
    loop, was_training = runner.val_loop, runner.model.training
    runner.model.eval()
    try:
        with (
            _told('its validation. Mend val_dataloader or val_evaluator, or pass --no-validate'),
            patch.object(runner, '_hooks', []),  # they would count and draw it
        ):
            if batch := _first_pictures(loop.dataloader):
                loop.run_iter(0, batch)
    finally:
        for metric in getattr(loop.evaluator, 'metrics', ()):
            metric.results.clear()
        runner.model.train(was_training)


def _prepares_validation(hook: Hook) -> bool:
    """Return whether a validation may not be possible without what a hook does before it."""
    kind = type(hook)
    if kind.__module__.partition('.')[0] in KNOWN:
        return kind.__name__ == PREPARES
    return not {'before_val', 'before_val_epoch'}.isdisjoint(hook.get_triggered_stages())


def _first_pictures(loader: DataLoader) -> Any:
    """Return a batch for this process without the loader's workers, or nothing."""
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset):
        return None
    chosen = list(itertools.islice(loader.sampler, min(MOST, loader.batch_size or MOST)))
    return loader.collate_fn([dataset[i] for i in chosen]) if chosen else None


def _try_pipeline(runner: Runner, pipeline: list[Any], name: str) -> None:
    with _told(f'the switch_pipeline of {name}. Mend it'):
        later: Any = copy.copy(runner.train_dataloader.dataset)
        if not hasattr(later, 'pipeline'):
            runner.logger.warning(
                f'{name} will change nothing: it switches the pipeline of '
                f'train_dataloader.dataset, and {type(later).__name__} has none. The data set in '
                'it keeps its own'
            )
            return
        later.pipeline = Compose(pipeline)  # as the hook does
        later[0]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say of an error where it would have happened."""
    try:
        yield
    except Exception as error:
        error.add_note(
            f'The training has not begun, but would have ended later: this was a trial of {what}. '
            'To leave out the trial: --cfg-options trial_run=False'
        )
        raise
