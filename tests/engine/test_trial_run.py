"""What would end a training later is tried before it, and leaves no trace."""

import contextlib
from unittest import mock

import numpy as np
import pytest
import torch
from mmdet.engine.hooks import PipelineSwitchHook
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from tests.engine.toy_run import Act, ToyData, toy_runner
from tnt_backbone.engine.trial_run import MOST, PREPARES, TrialRunHook


class Seen(BaseMetric):
    """Counts pictures, and fails if it is told to."""

    def __init__(self, fails=False):
        super().__init__()
        self.fails, self.batches = fails, []

    def process(self, data_batch, data_samples):
        if self.fails:
            raise KeyError('img_id')
        self.batches.append(len(data_batch['inputs']))
        self.results.append(len(data_batch['inputs']))

    def compute_metrics(self, results):
        return {'number': sum(results)}


def train(folder, *, metric=None, tried=True, hooks=(), iterations=None):
    runner = toy_runner(folder, end=1, scores=[0], randomness={'seed': 0}, custom_hooks=list(hooks))
    metric = metric or Seen()
    del runner.build_evaluator  # of the toy
    runner._val_evaluator = [metric]
    if tried:
        runner.register_hook(TrialRunHook())
    steps = []
    for i in range(4):
        runner.register_hook(Act(i, lambda runner: steps.append(runner.model.training)))
    try:
        runner.train()
    finally:
        if iterations is not None:
            iterations += steps
    return runner, metric


def test_a_metric_that_lacks_something_ends_the_training_before_its_first_step(tmp_path):
    steps = []
    with pytest.raises(KeyError, match='img_id') as failed:
        train(tmp_path, metric=Seen(fails=True), iterations=steps)
    assert not steps
    assert 'trial_run=False' in failed.value.__notes__[0]
    with pytest.raises(KeyError) as failed:
        train(tmp_path, metric=Seen(fails=True), tried=False, iterations=steps)
    assert len(steps) == 4
    assert not hasattr(failed.value, '__notes__')


class After(Hook):
    priority = 'LOWEST'

    def before_train(self, runner):
        self.training = runner.model.training


def test_it_leaves_no_trace(tmp_path):
    steps, after = [], After()
    with_trial, metric = train(tmp_path / 'a', hooks=[after], iterations=steps)
    assert after.training
    without, other = train(tmp_path / 'b', tried=False)
    assert metric.batches == [MOST, 2, 2, 2, 2]
    assert other.batches == [2, 2, 2, 2]
    number = with_trial.message_hub.get_scalar('val/number').current()
    assert number == without.message_hub.get_scalar('val/number').current() == len(ToyData())
    assert steps == [True] * 4  # the model was in training again
    for name, value in without.model.state_dict().items():  # dropout and data are random
        assert torch.equal(with_trial.model.state_dict()[name], value), name


def test_each_process_takes_pictures_of_its_own(tmp_path):
    taken = []
    with (
        mock.patch.object(DefaultSampler, '__iter__', return_value=iter((7, 3, 5))),
        mock.patch.object(
            ToyData, '__getitem__', lambda _, i: taken.append(i) or {'inputs': np.zeros(2, 'f')}
        ),
        contextlib.suppress(KeyError),
    ):
        train(tmp_path, metric=Seen(fails=True))
    assert taken == [7, 3]


class BeforeVal(Hook):
    def before_val(self, runner):
        self.called = True


def test_a_validation_that_a_foreign_hook_prepares_is_not_tried(tmp_path):
    steps = []
    with pytest.raises(KeyError):
        train(tmp_path, metric=Seen(fails=True), hooks=[BeforeVal()], iterations=steps)
    assert len(steps) == 4


class SwitchedData(ToyData):
    pipeline = None

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return found if self.pipeline is None else self.pipeline(found)


@pytest.mark.parametrize('step', [{'type': 'Unknown'}, {'type': 'LoadImageFromFile'}])
def test_a_pipeline_that_is_switched_to_later(tmp_path, monkeypatch, step):
    """One that cannot be built, and one that lacks a path."""
    monkeypatch.setattr('tests.engine.toy_run.ToyData', SwitchedData)
    hook = PipelineSwitchHook(switch_epoch=200, switch_pipeline=[step])
    steps = []
    with pytest.raises(KeyError) as failed:
        train(tmp_path, hooks=[hook], iterations=steps)
    assert not steps
    assert 'PipelineSwitchHook' in failed.value.__notes__[-1]
    hook.switch_pipeline = [{'type': 'mmdet.PackDetInputs', 'meta_keys': ()}]
    train(tmp_path, hooks=[hook], iterations=steps)
    assert steps == [True] * 4  # its pictures have the old pipeline


def test_a_switch_without_effect_is_told(tmp_path):
    hook = PipelineSwitchHook(switch_epoch=200, switch_pipeline=[{'type': 'Unknown'}])
    with mock.patch.object(MMLogger, 'warning') as warning:
        train(tmp_path, hooks=[hook])  # ToyData has no pipeline, as ConcatDataset
    assert any('ToyData' in call.args[0] for call in warning.call_args_list)


def test_the_name_of_the_hook_of_retrievals():
    from mmpretrain.engine import hooks

    assert hasattr(hooks, PREPARES)
