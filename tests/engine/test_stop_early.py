"""When a training ends early, and that a resumed one ends at the same validation."""

import contextlib

import pytest
from mmengine.config import Config

from tests.engine.toy_run import EndedError, toy_runner
from tnt_backbone.engine.missed_evaluation import MissedEvaluationHook
from tnt_backbone.engine.safe_checkpoint import make_checkpoints_safe
from tnt_backbone.engine.stop_early import StopEarlyHook, stop_early


def train(folder, scores, patience, *, save_best='acc', resume=None, by_epoch=True, **options):
    """Train for at most 8 validations; return the scores that were asked for, and the Runner."""
    options |= {} if resume is None else {'load_from': str(folder / resume), 'resume': True}
    checkpoint = {'save_best': save_best, 'interval': 1}
    if isinstance(save_best, dict):
        checkpoint |= save_best
    runner = toy_runner(
        folder, by_epoch=by_epoch, end=8, scores=scores, checkpoint=checkpoint, **options
    )
    runner.register_hook(StopEarlyHook(patience))
    runner.register_hook(MissedEvaluationHook())
    make_checkpoints_safe(runner)
    with contextlib.suppress(EndedError):
        runner.train()
    return runner.scores.given, runner


FALLING = {'save_best': 'acc', 'rule': 'less'}


@pytest.mark.parametrize(
    ('scores', 'patience', 'number', 'save_best'),
    [
        ([0.1, 0.5, 0.5, 0.4, 0.9, 1, 1, 1], 2, 4, 'acc'),
        ([0.1, 0.5, 0.5, 0.4, 0.9, 0.8, 0.7, 0.6], 3, 8, 'auto'),
        ([0.0] * 8, 1, 2, 'acc'),  # an equal value is no better one
        ([0.01 * i for i in range(8)], 1, 8, 'auto'),  # small steps are improvements
        ([0.9, 0.5, 0.6, 0.5, 0.1, 0, 0, 0], 2, 4, FALLING),
        ([0.9, 0.5, 0.6, 0.4, 0.1, 0, 0, 0], 2, 8, FALLING),
        ([0.5, float('nan'), 1, 1, 1, 1, 1, 1], 5, 2, 'acc'),
    ],
)
def test_it_ends_after_so_many_validations_without_a_better_one(
    tmp_path, scores, patience, number, save_best
):
    given, runner = train(tmp_path, scores, patience, save_best=save_best)
    assert len(given) == number
    assert (tmp_path / f'epoch_{number}.pth').is_file()
    assert runner.epoch == number


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize('killed', [2, 4])
def test_a_resumed_run_ends_at_the_same_validation(tmp_path, killed, by_epoch):
    """It is killed in a validation, or after it."""
    scores = [0.3, 0.6, 0.5, 0.6, 0.4, 0.9, 1, 1]
    options = {} if by_epoch else {'by_epoch': False, 'val_interval': 1}
    whole, _ = train(tmp_path / 'whole', scores, 3, **options)
    assert whole == scores[:5]
    folder = tmp_path / 'killed'
    first, _ = train(folder, [*scores[:killed], None], 3, **options)
    name = f'{"epoch" if by_epoch else "iter"}_{killed + 1}.pth'
    second, _ = train(folder, scores[killed:], 3, resume=name, **options)
    assert first[:killed] + second == whole


def test_a_run_that_resumes_after_a_validation_has_not_forgotten(tmp_path):
    scores = [0.3, 0.6, 0.5, 0.4, 0.4, 0.9, 1, 1]
    assert train(tmp_path, scores, 3)[0] == scores[:5]
    # epoch_4.pth was written before its validation, which is not repeated
    (tmp_path / 'last_evaluation').write_text('16')
    assert train(tmp_path, scores[4:], 3, resume='epoch_4.pth')[0] == [0.4]


def test_without_a_best_checkpoint_the_run_does_not_start(tmp_path):
    with pytest.raises(ValueError, match='save_best'):
        train(tmp_path, [0.5], 2, save_best=None)


@pytest.mark.parametrize('patience', [0, -1, 1.5, None])
def test_a_patience_below_one_is_refused(patience):
    with pytest.raises(ValueError, match=f'patience={patience}'):
        StopEarlyHook(patience)


def config(**changes):
    keys = {'val_cfg': {}, 'val_dataloader': {}, 'train_cfg': {'max_epochs': 12},
            'default_hooks': {'checkpoint': {'save_best': 'auto'}}}  # fmt: skip
    return Config({**keys, **changes})


def test_the_option_adds_a_hook():
    cfg = config(custom_hooks=[{'type': 'EMAHook'}, {'type': 'mmengine.EarlyStoppingHook'}])
    (note,) = stop_early(cfg, 3)
    assert 'EarlyStoppingHook' in note
    assert cfg.custom_hooks == [{'type': 'EMAHook'}, {'type': 'StopEarlyHook', 'patience': 3}]
    cfg = config()
    assert stop_early(cfg, 11) == []
    (note,) = stop_early(config(train_cfg={'max_epochs': 12, 'val_interval': 4}), 3)
    assert '--stop-early 3' in note
    assert '3 times' in note


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'val_cfg': None}, 'val_cfg'),
        ({'val_dataloader': None}, '--no-validate'),
        ({'default_hooks': {}}, 'save_best=auto'),
        ({'default_hooks': {'checkpoint': {'save_best': None}}}, 'save_best=auto'),
        ({'default_hooks': {'checkpoint': None}}, 'save_best=auto'),
    ],
)
def test_what_it_needs_is_named(changes, said):
    with pytest.raises(ValueError, match=rf'--stop-early 5.*{said}'):
        stop_early(config(**changes), 5)
