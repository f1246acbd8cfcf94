"""Whole runs of the command: a restart, a full and a read-only disk, a stopped process."""

import re
import signal
import subprocess
import sys

import pytest
import torch

from tests.faults.launched import CONFIG, ROOT
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.run.resume import why_not_resumable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU'),
]


def test_a_restarted_run_ends_with_the_weights_of_one_that_was_never_stopped(start, tmp_path):
    """In two processes, with a data worker each that flips images at random, and with dropout."""
    whole = start('--work-dir', 'whole', end=12)
    assert whole.launcher.wait() == 0, whole.output()
    killed = start('--work-dir', 'killed', end=12, MAX_RESTARTS='2')
    assert killed.wait_for(r'Iter\(train\) \[ *6/'), killed.output()
    killed.processes()['process 1'].kill()
    assert killed.launcher.wait() == 0, killed.output()
    assert 'Restart 1 of 2' in killed.output()
    assert 'resumed epoch: 0, iter: 4' in killed.output()
    one, other = (
        read_tensors(str(tmp_path / name / 'iter_12.pth')) for name in ('whole', 'killed')
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert {path.name for path in (tmp_path / 'killed').glob('*.pth')} == {
        path.name for path in (tmp_path / 'whole').glob('*.pth')
    }


def test_a_stopped_process_is_named_and_the_run_goes_on_with_it(start):
    run = start('--work-dir', 'run', '--cfg-options', 'stuck_after=20')
    assert run.wait_for(r'Iter\(train\) \[ *2/'), run.output()
    process = run.processes()['process 1']
    process.send_signal(signal.SIGSTOP)
    assert run.wait_for('does not move', seconds=120), run.output()
    assert run.wait_for(r'The stack of process 0:[^$]*File'), run.output()
    said = run.output()
    assert re.search(rf'process 1: .*process id {process.pid} on .*stopped', said), said
    moved = len(re.findall(r'Iter\(train\)', said))
    process.send_signal(signal.SIGCONT)
    assert run.wait_for(rf'(?s)(Iter\(train\).*){{{moved + 3}}}'), run.output()


def train_on_a_disk(config, folder, options):
    """Train in one process, in a folder with a disk of its own; return its status and words."""
    (folder / 'disk').mkdir()
    script = (
        f'mount -t tmpfs -o {options} none disk && "$@"; status=$?; cp -r disk kept; exit $status'
    )
    command = [sys.executable, ROOT / 'tools/train.py', config, '--work-dir', 'disk/run']
    if subprocess.run(['unshare', '-rm', 'true'], check=False).returncode:
        pytest.skip('no disk can be mounted here')
    result = subprocess.run(
        ['unshare', '-rm', 'bash', '-c', script, 'bash', *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def test_a_full_disk_ends_the_run_with_a_message_and_keeps_the_checkpoint(tiny_config, tmp_path):
    """There is room for one checkpoint and a half, so the second is not complete."""
    config = tmp_path / 'long.py'
    config.write_text(CONFIG.format(tiny_config, 12))
    status, said = train_on_a_disk(config, tmp_path, 'size=2400k')
    assert status == 2, said
    assert re.search(r'iter_8\.pth.*No space left on device', said), said
    assert re.search(r'GB free.*max_keep_ckpts=1', said), said
    kept = tmp_path / 'kept' / 'run'
    assert [path.name for path in kept.glob('iter*')] == ['iter_4.pth']
    assert why_not_resumable(kept / 'iter_4.pth') is None


def test_a_read_only_folder_is_a_message(tiny_config, tmp_path):
    status, said = train_on_a_disk(tiny_config, tmp_path, 'ro')
    assert status == 2, said
    assert re.search(r'disk/run.*--work-dir', said), said
