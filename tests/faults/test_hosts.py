"""Trainings on two hosts: network namespaces of this machine, which share its disk."""

import re
import signal

import pytest
import torch

from tests.faults.hosts import ADDRESS, Hosts
from tests.faults.launched import CONFIG, Launched
from tnt_backbone.checkpoints.read import read_tensors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU'),
]
NOTICED_WITHIN = 120  # seconds after a host was cut off


@pytest.fixture
def hosts():
    try:
        with Hosts() as made:
            yield made
    except OSError as error:
        pytest.skip(f'no network namespaces can be made here: {error}')


@pytest.fixture
def start_on(hosts, tiny_config, tmp_path):
    """Start the part of a training on a host, with one process."""
    runs = []

    def start_part(number, *arguments, end, **variables):
        config = tmp_path / f'host_{number}.py'
        config.write_text(CONFIG.format(tiny_config, end))
        runs.append(
            Launched(
                config, tmp_path, '--work-dir', 'run', *arguments, processes=1,
                inside=hosts.inside(number), log=f'log_{number}', GLOO_SOCKET_IFNAME='eth0',
                MASTER_ADDR=ADDRESS.format(1), PORT='29500', NODE_RANK=str(number), **variables,
            )
        )  # fmt: skip
        return runs[-1]

    yield start_part
    for run in runs:
        run.end()


def test_two_hosts_train_as_two_processes_of_one(start_on, start, tmp_path):
    parts = [start_on(number, end=4, NNODES='2') for number in (0, 1)]
    assert [part.launcher.wait(300) for part in parts] == [0, 0], parts[0].output()
    one = start('--work-dir', 'one', end=4)
    assert one.launcher.wait(300) == 0, one.output()
    expected, got = (read_tensors(str(tmp_path / name / 'iter_4.pth')) for name in ('one', 'run'))
    assert all(torch.equal(got[key], expected[key]) for key in expected)


def test_a_host_that_is_cut_off_comes_back(hosts, start_on, tmp_path):
    """The host without the store is cut off; the other trains on with the same batch."""
    elastic = {'NNODES': '1:2', 'end': 100_000}
    parts = [
        start_on(number, '--resume', LOCAL_ADDR=ADDRESS.format(number + 1), **elastic)
        for number in (0, 1)
    ]
    stays, goes = parts
    assert stays.wait_for(r'Iter\(train\) \[ *6/'), stays.output()
    assert len(goes.processes()) == 3  # the launcher, its process and a data worker
    hosts.cut(1)
    assert stays.wait_for('1 of 2 hosts cannot be reached', NOTICED_WITHIN), stays.output()
    assert stays.wait_for(r'resumed epoch: 0, iter: \d+'), stays.output()
    assert stays.wait_for(r'(?s)resumed epoch.*Iter\(train\)'), stays.output()
    resumed = int(re.findall(r'resumed epoch: 0, iter: (\d+)', stays.output())[-1])
    assert resumed >= 4
    said = re.findall(r'(\d+) images per step in (\d+) proc.*with (\d+) x (\d+)', stays.output())
    (images, *before), (same_images, *after) = ([int(number) for number in line] for line in said)
    assert images == same_images
    assert (before[0], after[0]) == (2, 1)
    assert all(processes * parts * each == images for processes, parts, each in (before, after))

    assert goes.wait_for('Waiting', NOTICED_WITHIN), goes.output()
    assert len(goes.processes()) == 1  # its process was ended, its launcher waits
    hosts.connect(1)
    assert stays.wait_for(r'ends after iteration \d+'), stays.output()
    # it has saved before it started again, so no step is lost
    last = int(re.findall(r'ends after iteration (\d+)', stays.output())[-1])
    assert last > resumed
    assert stays.wait_for(rf'(?s)resumed epoch: 0, iter: {last}\b.*Iter\(train\)'), stays.output()
    assert len(goes.processes()) == 3

    stays.launcher.send_signal(signal.SIGUSR1)
    assert [part.wait(150)[::2] for part in parts] == [(75, []), (75, [])], goes.output()
