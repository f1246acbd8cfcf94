"""Trainings that stand still: in one process, and between processes that share a store."""

import contextlib
import gc
import re
import threading
import time
from datetime import timedelta

import pytest
from torch import distributed

from tests.engine.toy_run import Act, toy_runner
from tnt_backbone.engine import stuck
from tnt_backbone.engine.stuck import StuckHook, Watch
from tnt_backbone.errors import InputError


def test_a_process_says_where_it_stands_and_shows_its_stack(tmp_path, capfd):
    def sleep_in_this_function(runner):
        time.sleep(0.9)

    runner = toy_runner(tmp_path, end=4, by_epoch=False)
    runner.register_hook(Act(2, sleep_in_this_function))
    runner.register_hook(StuckHook(patience=0.2))
    runner.train()
    said = capfd.readouterr().err
    assert re.search(r'Process 0 of 1\b.*iteration 3\b', said)
    assert 'sleep_in_this_function' in said
    assert 2 <= said.count('does not move') <= 3  # after 0.2, 0.4 and 0.8 s


def test_a_run_that_moves_is_left_in_peace(tmp_path, capfd):
    runner = toy_runner(tmp_path, end=8, by_epoch=False)
    for i in range(8):
        runner.register_hook(Act(i, lambda runner: time.sleep(0.1)))
    runner.register_hook(StuckHook(patience=0.6))
    runner.train()
    assert 'does not move' not in capfd.readouterr().err


def test_the_thread_ends_with_the_training_also_by_an_error(tmp_path):
    def fail(runner):
        raise RuntimeError

    before = set(threading.enumerate())  # some may end meanwhile
    for action in (fail, lambda runner: None):
        runner = toy_runner(tmp_path, end=2, by_epoch=False)
        runner.register_hook(Act(1, action))
        runner.register_hook(StuckHook(patience=0.2))
        with contextlib.suppress(RuntimeError):
            runner.train()
        del runner
    end = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < end:
        gc.collect()  # a run that failed is a cycle
        time.sleep(0.05)
    assert not set(threading.enumerate()) - before


@pytest.fixture
def watches(monkeypatch):
    """Three processes of a run, in this one."""
    store = distributed.TCPStore('127.0.0.1', 0, None, True, timedelta(seconds=5))
    monkeypatch.setattr(stuck, 'is_distributed', lambda: True)
    monkeypatch.setattr(stuck, 'get_world_size', lambda: 3)
    monkeypatch.setattr(distributed.distributed_c10d, '_get_default_store', lambda: store)
    made = []
    for rank in range(3):
        monkeypatch.setattr(stuck, 'get_rank', lambda rank=rank: rank)
        made.append(Watch(StuckHook(patience=100)))
    return made


def stand(watch, place, seconds):
    watch.hook.place, watch.hook.since = place, time.monotonic() - seconds


def test_the_first_process_names_the_one_that_holds_up_the_others(watches, capfd):
    for watch in watches:
        watch.look()
    assert capfd.readouterr().err == ''
    stand(watches[0], 'in the step of iteration 7', 101)
    stand(watches[1], 'waiting for the batch of iteration 7', 105)
    stand(watches[2], 'in the step of iteration 7', 102)
    for watch in (*watches[1:], watches[0]):
        watch.look()
    said = capfd.readouterr().err
    rows = re.findall(r'^  process (\d): (.*?) \(.*, (\d+) s$', said, re.MULTILINE)
    assert rows == [
        ('1', 'waiting for the batch of iteration 7', '105'),
        ('2', 'in the step of iteration 7', '102'),
        ('0', 'in the step of iteration 7', '101'),
    ]
    assert len(re.findall(r'^The stack of process', said, re.MULTILINE)) == 3


def test_a_process_that_is_stopped_is_named_by_the_next(watches, capfd):
    """Process 0 has said something once, and nothing since."""
    stand(watches[0], 'in the step of iteration 7', 1)
    for watch in watches:
        watch.look()
    heard = watches[1].heard
    heard[0] = (heard[0][0], time.monotonic() - 120)
    stand(watches[1], 'in the step of iteration 8', 101)
    watches[1].look()
    said = capfd.readouterr().err
    assert re.search(r'process 0: in the step of iteration 7 .*121 s\..*\b120 s\b.*stopped', said)


def test_a_store_that_is_gone_is_said(watches, capfd):
    class Gone:
        def set(self, *args):
            raise distributed.DistNetworkError('Connection reset by peer')

    watches[1].store = Gone()
    stand(watches[1], 'past an evaluation', 150)
    watches[1].look()
    assert re.search(r'Process 1 of 3.*past an evaluation.*reset by peer', capfd.readouterr().err)


@pytest.mark.parametrize('patience', [0, -1, 'long'])
def test_the_patience_is_a_number(patience):
    with pytest.raises(InputError, match=f'stuck_after={patience!r}'):
        StuckHook(patience)
