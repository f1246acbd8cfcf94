"""The room that checkpoints need, against what they take."""

import shutil
from collections import namedtuple

import pytest
from mmengine.hooks import CheckpointHook

from tests.engine.toy_run import Act, toy_runner
from tnt_backbone.engine.disk_room import check_room, checkpoint_bytes
from tnt_backbone.errors import DiskError

Usage = namedtuple('Usage', 'free')


@pytest.fixture
def runner(tmp_path):
    """A Runner in the middle of its training, with all that hooks see."""
    seen = []
    runner = toy_runner(tmp_path, end=5, checkpoint={'max_keep_ckpts': 2, 'save_best': 'acc'})
    runner.register_hook(Act(0, seen.append))
    runner.train()
    return seen[0]


def test_the_size_is_that_of_the_tensors_in_the_file(runner):
    optimizer = runner.optim_wrapper.state_dict()['state']
    states = sum(
        state[key].nbytes for state in optimizer.values() for key in state if key != 'step'
    )
    assert checkpoint_bytes(runner) == (3 * 4, 3 * 4 + states)  # 2 weights and a bias


def test_a_disk_without_room_is_refused_and_a_small_one_named(runner, tmp_path, monkeypatch):
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    runner.train_loop._epoch = 0
    warnings = []
    monkeypatch.setattr(runner.logger, 'warning', warnings.append)

    def check(free):
        monkeypatch.setattr(shutil, 'disk_usage', lambda _: Usage(free))
        check_room(runner, hook, str(tmp_path / 'new'))

    with pytest.raises(DiskError, match=r'new.*\b11\b.*\b12\b.*--work-dir'):
        check(11)
    needed = 3 * 36 + 2 * 12  # two kept and one more, and two of the best, which have no optimizer
    check(needed)
    assert warnings == []
    check(needed - 1)
    assert len(warnings) == 1
    assert 'max_keep_ckpts=1' in warnings[0]
