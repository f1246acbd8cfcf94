"""Requests to end that come twice, or while another process saves."""

import multiprocessing
import os
import signal
import time

import pytest
from torch import distributed

from tests.engine.toy_run import Act, toy_runner
from tnt_backbone.engine import stop_on_signal
from tnt_backbone.engine.stop_on_signal import StopOnSignalHook
from tnt_backbone.run.reliability import make_reliable


def train(folder, *actions):
    runner = toy_runner(folder, by_epoch=False, end=9, checkpoint={'interval': 100})
    for iteration, action in actions:
        runner.register_hook(Act(iteration, action))
    runner.register_hook(StopOnSignalHook())
    runner.train()


def terminate(runner):
    os.kill(os.getpid(), signal.SIGTERM)


def twice(runner):
    terminate(runner)
    terminate(runner)


def test_a_scheduler_and_the_launcher_may_both_ask(tmp_path):
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, (3, twice))
    assert ended.value.code == 75
    assert (tmp_path / 'iter_4.pth').is_file()


def test_a_later_request_ends_the_process_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(stop_on_signal, 'AGAIN', -1.0)

    class EndedError(Exception):
        pass

    def end(number, frame):
        raise EndedError

    before = signal.signal(signal.SIGTERM, end)  # stands for the system's own way
    try:
        with pytest.raises(EndedError):
            train(tmp_path, (3, twice))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not (tmp_path / 'iter_4.pth').exists()


def test_the_other_processes_wait_for_the_one_that_saves(monkeypatch):
    calls = []

    class Store:
        def set(self, key, value):
            calls.append(('set', key))

        def wait(self, keys, limit):
            calls.append(('wait', *keys))
            raise distributed.DistNetworkError('reset')  # the first process has ended

    monkeypatch.setattr(distributed.distributed_c10d, '_get_default_store', Store)
    monkeypatch.setattr(stop_on_signal, 'is_distributed', lambda: True)
    for is_main in (True, False):
        monkeypatch.setattr(stop_on_signal, 'is_main_process', lambda is_main=is_main: is_main)
        StopOnSignalHook()._wait_for_the_save()
    assert calls == [('set', stop_on_signal.SAVED), ('wait', stop_on_signal.SAVED)]


@pytest.mark.parametrize('by_epoch', [True, False])
def test_data_workers_live_on_when_their_whole_group_is_asked(tmp_path, by_epoch):
    """As by torchrun, whose signal goes to the group of a process, and by slurm's SIGUSR1."""

    def ask_all(runner):
        for child in multiprocessing.active_children():
            assert os.getpgid(child.pid) == child.pid
            os.kill(child.pid, signal.SIGUSR1)
        terminate(runner)

    runner = toy_runner(tmp_path, by_epoch=by_epoch, end=9, workers=2, scores=[0.5] * 9)
    make_reliable(runner)
    runner.register_hook(Act(2, ask_all))
    with pytest.raises(SystemExit) as ended:
        runner.train()
    assert ended.value.code == 75
    assert (tmp_path / 'iter_3.pth').is_file() != by_epoch


def test_a_process_can_end_its_workers():
    """Else it would wait for them at its own end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        stop_on_signal.leave_requests_to_the_process()
        os.write(writer, b'.')
        while True:
            time.sleep(0.01)
    os.read(reader, 1)
    os.kill(child, signal.SIGUSR1)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == signal.SIGTERM
