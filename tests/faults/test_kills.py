"""kill -9 of each process of a training in two processes: all end, and the run goes on."""

import re
import signal

import pytest
import torch

from tests.faults.launched import ENDS_WITHIN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU'),
]


@pytest.mark.parametrize(
    ('name', 'status', 'said'),
    [
        ('launcher', -signal.SIGKILL, ''),
        ('process 0', 128 + signal.SIGKILL, r'process 0 was killed by SIGKILL'),
        ('process 1', 128 + signal.SIGKILL, r'process 1 was killed by SIGKILL'),
        ('data worker 0', 3, r'DataLoader worker \(pid.*killed by signal'),
        ('data worker 1', 3, r'DataLoader worker \(pid.*killed by signal'),
    ],
)
def test_one_process_is_killed(start, name, status, said):
    run = start('--work-dir', 'run')
    assert run.wait_for(r'Iter\(train\) \[ *7/'), run.output()
    processes = run.processes()
    assert len(processes) == 5, processes
    processes[name].kill()
    ended, seconds, alive = run.wait()
    assert ended == status, run.output()
    assert alive == []
    assert seconds < ENDS_WITHIN
    assert re.search(said, run.output())


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize('name', ['launcher', 'process 0', 'process 1', 'all'])
def test_a_request_saves_and_ends(start, tmp_path, name, number):
    run = start('--work-dir', 'run')
    assert run.wait_for(r'Iter\(train\) \[ *7/'), run.output()
    processes = run.processes()
    chosen = list(processes) if name == 'all' else [name]
    for each in chosen:
        if not each.startswith('data'):
            processes[each].send_signal(number)
    status, _, alive = run.wait()
    assert status == 75, run.output()
    assert alive == []
    saved = re.search(r'ends after iteration (\d+)\b.*iter_(\d+)\.pth', run.output())
    assert saved, run.output()
    assert saved[1] == saved[2]
    assert (tmp_path / 'run' / f'iter_{saved[1]}.pth').is_file()
