"""A run that is ended in an evaluation, against one that is not."""

import contextlib

import pytest

from tests.engine.toy_run import EndedError, toy_runner
from tnt_backbone.engine.missed_evaluation import MissedEvaluationHook
from tnt_backbone.engine.safe_checkpoint import make_checkpoints_safe


def train(folder, scores, *, by_epoch=True, end=2, resume=None):
    options = {} if resume is None else {'load_from': str(folder / resume), 'resume': True}
    checkpoint = {'save_best': 'acc', 'interval': 1 if by_epoch else 1000}
    runner = toy_runner(
        folder, by_epoch=by_epoch, end=end, scores=scores, checkpoint=checkpoint, **options
    )
    runner.register_hook(MissedEvaluationHook())
    make_checkpoints_safe(runner)
    with contextlib.suppress(EndedError):
        runner.train()
    return runner.scores.given, runner


@pytest.mark.parametrize('by_epoch', [True, False])
def test_the_last_evaluation_is_made_up_for(tmp_path, by_epoch):
    name = 'epoch_2.pth' if by_epoch else 'iter_2.pth'
    first = [0.5, None] if by_epoch else [None]
    assert train(tmp_path, first, by_epoch=by_epoch)[0] == first
    given, runner = train(tmp_path, [0.9, 0.1], by_epoch=by_epoch, resume=name)
    assert given == [0.9]
    assert (tmp_path / f'best_acc_{name}').is_file()
    assert runner.message_hub.get_info('best_score') == 0.9


def test_an_evaluation_that_was_done_is_not_repeated(tmp_path):
    train(tmp_path, [0.5, 0.6])
    assert train(tmp_path, [0.7], end=3, resume='epoch_2.pth')[0] == [0.7]
    assert train(tmp_path, [0.8, 0.9], end=3, resume='epoch_2.pth')[0] == [0.8]
    assert (tmp_path / 'last_evaluation').read_text() == '12'
    given, _ = train(tmp_path, [0.1, None], end=2)  # a new run in the same folder
    assert given == [0.1, None]
    assert train(tmp_path, [0.2], end=2, resume='epoch_2.pth')[0] == [0.2]
