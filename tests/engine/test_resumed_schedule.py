"""Runs that resume with a changed schedule or optimizer, against one that does not."""

import pytest
import torch

from tests.engine.toy_run import toy_runner
from tnt_backbone.engine.resumed_schedule import ResumedScheduleHook
from tnt_backbone.errors import InputError
from tnt_backbone.run.reliability import make_reliable

WARM_UP = {'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': False, 'begin': 0, 'end': 6}
COSINE = {'type': 'CosineAnnealingLR', 'T_max': 4, 'begin': 0, 'end': 4, 'by_epoch': True}
IN_ITERATIONS = {**COSINE, 'convert_to_iter_based': True}
STEPS = {'type': 'MultiStepLR', 'milestones': [1, 3], 'begin': 0, 'end': 4, 'by_epoch': True}
ADAMW = {'type': 'AdamW', 'lr': 0.1}


def train(folder, schedulers, *, on_change='stop', optimizer=ADAMW, resume=False, end=1):
    options = {'load_from': str(folder / 'epoch_1.pth'), 'resume': True} if resume else {}
    runner = toy_runner(folder, end=end, param_scheduler=schedulers, **options)
    runner.optim_wrapper['optimizer'] = optimizer
    runner.register_hook(ResumedScheduleHook(on_change))
    runner.train()
    return runner


@pytest.mark.parametrize(
    ('then', 'now', 'match'),
    [
        ([COSINE], [{**COSINE, 'T_max': 8, 'end': 8}], r'CosineAnnealingLR.*end: 4 .*, 8 '),
        ([COSINE], [{**COSINE, 'T_max': 8}], r'T_max: 4 .*, 8 '),
        ([IN_ITERATIONS], [{**IN_ITERATIONS, 'end': 8}], r'end: 16 .*, 32 '),
        ([WARM_UP, STEPS], [WARM_UP, {**STEPS, 'milestones': [1, 2]}], r'\[1\].*milestones'),
        ([STEPS], [{**STEPS, 'gamma': 0.5}], r'gamma: 0\.1 .*, 0\.5 '),
        ([WARM_UP], [{**WARM_UP, 'start_factor': 0.5}], r'start_factor: 0\.1 .*, 0\.5 '),
        ([WARM_UP, STEPS], [WARM_UP], '2 schedulers in the checkpoint, 1 '),
        ([STEPS], None, '1 schedulers in the checkpoint, 0 '),
        (None, [STEPS], '0 schedulers in the checkpoint, 1 '),
        ([STEPS], [COSINE], 'CosineAnnealingLR.*another type'),
        ([{'type': 'PolyLR'}], [{'type': 'PolyLR'}], r'PolyLR.*end: 1 .*, 2 '),
    ],
)
def test_another_schedule_is_refused(tmp_path, then, now, match):
    train(tmp_path, then)
    with pytest.raises(InputError, match=match) as error:
        train(tmp_path, now, resume=True, end=2)
    assert 'resume_schedule=checkpoint' in str(error.value)
    assert str(tmp_path / 'epoch_1.pth') in str(error.value)


@pytest.mark.parametrize(
    ('optimizer', 'match'),
    [
        ({**ADAMW, 'lr': 0.2}, r'initial_lr: 0\.1 .*, 0\.2 '),
        ({**ADAMW, 'weight_decay': 0.5}, r'weight_decay: 0\.01 .*, 0\.5 '),
        ({**ADAMW, 'betas': (0.8, 0.9)}, r'betas: \(0\.9, 0\.999\)'),
        ({'type': 'SGD', 'lr': 0.1}, 'momentum: not '),
    ],
)
def test_another_optimizer_is_refused(tmp_path, optimizer, match):
    train(tmp_path, [STEPS])
    with pytest.raises(InputError, match=match):
        train(tmp_path, [STEPS], optimizer=optimizer, resume=True, end=2)


def test_the_learning_rate_counts_also_without_a_schedule(tmp_path):
    train(tmp_path, None)
    with pytest.raises(InputError, match=r' lr: 0\.1 .*, 0\.2 '):
        train(tmp_path, None, optimizer={**ADAMW, 'lr': 0.2}, resume=True, end=2)


@pytest.mark.parametrize(
    'schedulers',
    [
        [WARM_UP, STEPS],
        [IN_ITERATIONS],
        [{'type': 'ConstantLR', 'factor': 1}],  # its end is that of the training
        None,
    ],
)
def test_the_same_schedule_goes_on(tmp_path, schedulers):
    """Also for more epochs than before: the schedule has its own end."""
    whole = train(tmp_path / 'whole', schedulers, end=3)
    train(tmp_path, schedulers)
    resumed = train(tmp_path, schedulers, resume=True, end=3)
    assert resumed.iter == whole.iter == 12
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()


def test_the_values_of_the_checkpoint_may_be_chosen(tmp_path):
    train(tmp_path, [COSINE])
    changed = [{**COSINE, 'T_max': 8, 'end': 8}]
    runner = train(tmp_path, changed, on_change='checkpoint', resume=True, end=2)
    expected = 0.1 * (1 + torch.tensor(torch.pi * 2 / 4).cos().item()) / 2  # half of 4 epochs
    assert runner.optim_wrapper.get_lr()['lr'] == pytest.approx([expected], abs=1e-8)


def test_weights_of_a_run_with_another_schedule_are_only_weights(tmp_path):
    train(tmp_path, [COSINE])
    runner = toy_runner(tmp_path, end=1, load_from=str(tmp_path / 'epoch_1.pth'))
    runner.register_hook(ResumedScheduleHook())
    runner.train()
    assert runner.iter == 4


def test_the_choice_is_checked():
    with pytest.raises(InputError, match=r"resume_schedule='old'.*checkpoint"):
        ResumedScheduleHook('old')


def test_every_training_looks(tmp_path):
    runner = toy_runner(tmp_path, cfg={'resume_schedule': 'checkpoint'})
    make_reliable(runner)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, ResumedScheduleHook))
    assert hook.on_change == 'checkpoint'
