"""Jobs that come back: slurm_train.sh with REQUEUE=1, with stand-ins for slurm's commands."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Stands for srun: says that it runs, waits for SIGUSR1, and ends as the training would.
SRUN = """#!/bin/bash
printf '%s\\n' "$@" > srun_arguments
trap 'echo asked >> signals' USR1
touch running
while [[ ! -e signals && ! -e done ]]; do sleep 0.05; done
sleep 0.2  # the iteration at hand
if [[ -n $SAVES ]]; then echo "$SAVES" > work/last_checkpoint; fi
exit "$STATUS"
"""
STARTED = []  # jobs
SHOW = '#!/bin/bash\nprintf "%s\\n" "$@" >> {name}_arguments\n'


def stand_in(path, text):
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path):
    """A folder with stand-ins for srun, scontrol and sbatch; what they were called with."""
    stand_in(tmp_path / 'srun', SRUN)
    for name in ('scontrol', 'sbatch'):
        stand_in(tmp_path / name, SHOW.format(name=name))
    (tmp_path / 'work').mkdir()
    (tmp_path / 'a.py').touch()
    yield tmp_path
    while STARTED:  # a test that fails leaves its job running
        with contextlib.suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


def environment(cluster, **variables):
    path = {'PATH': f'{cluster}:{os.environ["PATH"]}', 'PYTHON': sys.executable}
    return {**os.environ, **path, **variables}


def arguments(cluster, name):
    file = cluster / f'{name}_arguments'
    return file.read_text().splitlines() if file.exists() else None


def submit(cluster, *options, **variables):
    script = str(ROOT / 'tools/slurm_train.sh')
    return subprocess.run(
        ['bash', script, 'gpu', 'my job', 'a.py', 'work dir', *options],
        cwd=cluster,
        env=environment(cluster, REQUEUE='1', **variables),
        capture_output=True,
        text=True,
    )


def test_the_job_asks_for_a_signal_and_for_its_return(cluster):
    variables = {'GPUS': '16', 'SRUN_ARGS': '--time=60 --exclusive'}
    done = submit(cluster, '--cfg-options', 'a=[1, 2]', **variables)
    assert done.returncode == 0, done.stderr
    lines = arguments(cluster, 'sbatch')
    assert lines[:6] == [
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:8',
        '--ntasks=16',
        '--ntasks-per-node=8',
        '--cpus-per-task=5',
    ]
    assert {'--signal=B:USR1@300', '--requeue', '--open-mode=append', '--time=60'} <= set(lines)
    assert '--output=work dir/slurm-%j.log' in lines
    batch = lines.index(str(ROOT / 'tools/_slurm_batch.sh'))
    assert lines[batch + 1 :] == [str(ROOT), 'work dir', 'a.py', '--cfg-options', 'a=[1, 2]']
    assert (cluster / 'work dir').is_dir()  # slurm writes no log into a folder that is not there


def test_mistakes_are_told_before_the_job_waits(cluster):
    for options, word in [(('--nowhere',), '--nowhere'), (('--resume', 'a.pth'), '--resume')]:
        done = submit(cluster, *options)
        assert done.returncode == 2
        assert word in done.stderr
    (cluster / 'a.py').unlink()
    done = submit(cluster)
    assert done.returncode == 2
    assert 'a.py' in done.stderr
    assert arguments(cluster, 'sbatch') is None


def start(cluster, job='70123', **variables):
    """Start the job's script as slurm does: from a copy in another folder."""
    script = cluster / 'slurm_script'
    script.write_text((ROOT / 'tools/_slurm_batch.sh').read_text())
    for name in ('signals', 'running', 'done'):
        (cluster / name).unlink(missing_ok=True)
    process = subprocess.Popen(
        ['bash', str(script), str(ROOT), 'work', 'a.py', '--amp'],
        cwd=cluster,
        env=environment(cluster, SLURM_JOB_ID=job, SLURM_CPUS_PER_TASK='5', **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def wait_for(path, process):
    end = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


def run_until_signal(cluster, **variables):
    process = start(cluster, **variables)
    wait_for(cluster / 'running', process)
    process.send_signal(signal.SIGUSR1)  # to the batch script only, as B: says
    output = process.communicate(timeout=30)[0]
    assert (cluster / 'signals').read_text() == 'asked\n'  # srun passes it on
    return process.returncode, output


def test_a_run_that_ended_on_request_comes_back(cluster):
    status, _ = run_until_signal(cluster, STATUS='75', SAVES='work/epoch_1.pth')
    assert status == 0
    assert arguments(cluster, 'scontrol') == ['requeue', '70123']
    command = arguments(cluster, 'srun')
    assert {'--cpus-per-task=5', '--kill-on-bad-exit=0', '--wait=120'} <= set(command)
    tool = command.index(str(ROOT / 'tools/train.py'))
    assert command[tool + 1 :] == [
        'a.py', '--amp', '--work-dir=work', '--resume', '--launcher=slurm',
    ]  # fmt: skip


@pytest.mark.parametrize('ended', ['0', '2', '3', '137'])
def test_other_ends_are_the_jobs_own(cluster, ended):
    process = start(cluster, STATUS=ended)
    wait_for(cluster / 'running', process)
    (cluster / 'done').touch()
    process.communicate(timeout=30)
    assert process.returncode == int(ended)
    assert arguments(cluster, 'scontrol') is None
    status, _ = run_until_signal(cluster, STATUS=ended)  # also when it was asked to end
    assert status == int(ended)
    assert arguments(cluster, 'scontrol') is None


def test_a_job_that_gets_nowhere_is_not_started_for_ever(cluster):
    ends = [
        run_until_signal(cluster, STATUS='75', SLURM_RESTART_COUNT=str(count))[0]
        for count in range(2)
    ]
    status, _ = run_until_signal(
        cluster, STATUS='75', SLURM_RESTART_COUNT='2', SAVES='work/epoch_1.pth'
    )
    ends.append(status)  # it got somewhere: the count starts anew
    for count in range(3, 6):
        status, output = run_until_signal(cluster, STATUS='75', SLURM_RESTART_COUNT=str(count))
        ends.append(status)
    assert ends == [0, 0, 0, 0, 0, 1]
    assert '--time' in output
    assert 'default_hooks.checkpoint.by_epoch=False' in output
    assert arguments(cluster, 'scontrol') == ['requeue', '70123'] * 5
    assert run_until_signal(cluster, STATUS='75')[0] == 0  # submitted again by hand


def test_two_jobs_on_one_machine_have_two_ports(cluster):
    stand_in(cluster / 'srun', '#!/bin/bash\necho "port=$MASTER_PORT"\nexit 0\n')
    ports = [start(cluster, job=job).communicate()[0] for job in ('70123', '70124')]
    assert ports == ['port=20123\n', 'port=20124\n']
    assert start(cluster, MASTER_PORT='29511').communicate()[0] == 'port=29511\n'


# Stands for srun: one process, started by hand, that gets the signals which srun passes on.
ONE = """#!/bin/bash
shift 3
arguments=("$@")
unset 'arguments[${#arguments[@]}-1]'  # --launcher=slurm
exec "${arguments[@]}"
"""


@pytest.mark.slow
def test_a_training_is_signalled_and_resumed(cluster, tiny_config):
    """The training itself, a minute."""
    stand_in(cluster / 'srun', ONE)
    options = [
        'train_cfg.max_epochs=1000', 'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None',
        'default_hooks.checkpoint.max_keep_ckpts=1',
    ]  # fmt: skip
    command = ['bash', str(ROOT / 'tools/_slurm_batch.sh'), str(ROOT), 'work', str(tiny_config)]
    settings = environment(cluster, SLURM_JOB_ID='7', CUDA_VISIBLE_DEVICES='')
    log = cluster / 'log'
    process = subprocess.Popen(
        [*command, '--cfg-options', *options],
        cwd=cluster, env=settings, stdout=log.open('w'), stderr=subprocess.STDOUT,
    )  # fmt: skip
    while not (cluster / 'work/last_checkpoint').exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=120) == 0, log.read_text()
    assert arguments(cluster, 'scontrol') == ['requeue', '7']
    assert 'SIGUSR1' in log.read_text()

    last = Path((cluster / 'work/last_checkpoint').read_text()).stem
    epoch = int(last.removeprefix('epoch_'))
    options[0] = f'train_cfg.max_epochs={epoch + 1}'
    done = subprocess.run(
        [*command, '--cfg-options', *options],
        cwd=cluster, env=settings | {'SLURM_RESTART_COUNT': '1'}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'resumed epoch: {epoch}' in done.stdout + done.stderr
    assert (cluster / f'work/epoch_{epoch + 1}.pth').exists()
    assert arguments(cluster, 'scontrol') == ['requeue', '7']  # it is done
