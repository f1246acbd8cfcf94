"""The shell scripts: several processes, slurm, and what they refuse."""

import hashlib
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from mmengine.config import Config

from tnt_backbone import TNT
from tnt_backbone.cli import test, train

ROOT = Path(__file__).parents[2]
cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')


def environment(**variables):
    inherited = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'PORT')
    clean = {name: value for name, value in os.environ.items() if name not in inherited}
    return {**clean, 'PYTHON': sys.executable, **variables}


def run(script, *arguments, cwd, **variables):
    """Run a script from another folder; return its status and all that it says."""
    result = subprocess.run(
        ['bash', str(ROOT / 'tools' / script), *map(str, arguments)],
        cwd=cwd,
        env=environment(**variables),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return result.returncode, result.stdout


def stand_in(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


# Stands for Python and writes down how it is started. _python.sh asks it a question by -c first.
RECORDER = """#!/bin/bash
if [[ $1 == -* ]]; then exec {python} "$@"; fi
printf '%s\\0' "$@" > {folder}/arguments
env -0 > {folder}/environment
"""
# Runs _torchrun.py as the script would, but for what it starts and the number of GPUs.
FAKE = """
import os, runpy, sys
sys.argv = {arguments!r}
os.environ.clear()
os.environ.update({environment!r})
os.chdir({folder!r})
if {gpus} is None:
    for name in [name for name in sys.modules if name.split('.')[0] in ('mmengine', 'mmcv')]:
        del sys.modules[name]
    sys.modules['torch'] = None  # is not imported before the mistake is told
else:
    import torch
    from torch.distributed import run
    torch.cuda.device_count = lambda: {gpus}
    run.main = lambda arguments: show('torchrun', *arguments)
def show(*arguments):
    print('STARTED', *arguments, 'OMP=' + os.environ.get('OMP_NUM_THREADS', '-'))
os.execv = lambda path, arguments: (show('python', *arguments[1:]), sys.exit(0))
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.fixture
def launch(tmp_path, run_in_a_fork):
    """Run a script on a machine with so many GPUs; None: before PyTorch is imported."""
    python = stand_in(tmp_path / 'python', RECORDER.format(python=sys.executable, folder=tmp_path))
    for name in ('a.py', 'a.pth'):
        (tmp_path / name).touch()

    def launch(script, *arguments, gpus, **variables):
        status, output = run(script, *arguments, cwd=tmp_path, PYTHON=str(python), **variables)
        assert (status, output) == (0, '')
        arguments, variables = (
            (tmp_path / name).read_text().split('\0')[:-1] for name in ('arguments', 'environment')
        )
        program = FAKE.format(
            arguments=arguments,
            environment=dict(line.split('=', 1) for line in variables),
            folder=str(tmp_path),
            gpus=gpus,
        )
        done = run_in_a_fork(program)
        return done.returncode, done.stdout + done.stderr

    return launch


def started(output):
    (line,) = [line for line in output.splitlines() if line.startswith('STARTED')]
    return line.split()[1:]


def test_more_processes_than_gpus_are_refused(launch):
    status, output = launch('dist_train.sh', 'a.py', 8, gpus=1)
    assert status == 1
    assert re.search(r'\b8\b.*\b1 GPU\b', output)
    assert 'STARTED' not in output
    status, output = launch('dist_test.sh', 'a.py', 'a.pth', 3, gpus=2, CUDA_VISIBLE_DEVICES='4,5')
    assert status == 1
    assert re.search(r'\b3\b.*\b2 GPUs\b.*CUDA_VISIBLE_DEVICES=4,5', output)


@pytest.mark.parametrize(
    ('script', 'arguments'),
    [
        ('dist_train.sh', ('nowhere.py', 8)),
        ('dist_train.sh', ('a.py', 8, '--resume', 'nowhere.pth')),
        ('dist_test.sh', ('a.py', 'nowhere.pth', 8)),
        ('dist_test.sh', ('a.py', 'a.pth', 8, '--nowhere')),
    ],
)
def test_mistakes_are_told_once_before_processes_start(launch, script, arguments):
    status, output = launch(script, *arguments, gpus=None)
    assert status == 2
    assert output.count('error:') == 1
    assert 'nowhere' in output
    assert 'STARTED' not in output


@pytest.mark.parametrize(
    'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help_is_not_an_error(script, option, tmp_path):
    status, output = run(script, option, cwd=tmp_path)
    assert status == 0
    assert output.startswith('usage: ')
    assert f'bash tools/{script} ' in output.splitlines()[0]


def test_as_many_processes_as_gpus_are_started_on_a_free_port(launch):
    status, output = launch('dist_train.sh', 'a.py', 8, '--amp', '--cfg-options', 'a="b c"', gpus=8)
    assert status == 0
    command = started(output)
    assert command[:3] == ['torchrun', '--standalone', '--local-addr=127.0.0.1']
    assert '--nproc-per-node=8' in command
    tool = command.index(str(ROOT / 'tools/train.py'))
    assert command[tool + 1 : -1] == [
        '--launcher=pytorch',
        'a.py',
        '--amp',
        '--cfg-options',
        'a="b',
        'c"',
    ]
    assert command[-1] == 'OMP=-'  # left to torchrun
    assert 'GPU' not in output


def test_one_process_needs_no_torchrun(launch):
    status, output = launch('dist_test.sh', 'a.py', 'a.pth', 1, '--tta', gpus=1)
    assert status == 0
    assert started(output)[:-1] == ['python', str(ROOT / 'tools/test.py'), 'a.py', 'a.pth', '--tta']


def test_without_gpu_the_cores_are_shared_out(launch):
    cores = len(os.sched_getaffinity(0))
    status, output = launch('dist_train.sh', 'a.py', 3, gpus=0)
    assert status == 0
    assert re.search(rf'\bCPU\b.*\b{cores}\b.*\b3\b.*\bgloo\b', output)
    assert started(output)[-1] == f'OMP={max(1, cores // 3)}'
    _, output = launch('dist_train.sh', 'a.py', 3, gpus=0, OMP_NUM_THREADS='5')
    assert started(output)[-1] == 'OMP=5'


def test_several_machines(launch):
    where = {'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': 'host0', 'PORT': '29511'}
    status, output = launch('dist_train.sh', 'a.py', 4, gpus=4, **where)
    assert status == 0
    expected = {'--nnodes=2', '--node-rank=1', '--master-addr=host0', '--master-port=29511'}
    assert expected <= set(started(output))
    status, output = launch('dist_train.sh', 'a.py', 1, gpus=1, **where)
    assert started(output)[0] == 'torchrun'  # one process on each of two machines
    status, output = launch('dist_train.sh', 'a.py', 4, gpus=None, NNODES='2')
    assert status == 1
    assert re.search(r'\bNNODES=2\b.*\bNODE_RANK\b', output)


ELASTIC = {'NNODES': '1:4', 'MASTER_ADDR': 'host0', 'PORT': '29511'}


def test_machines_that_come_and_go(launch):
    """The batch is that of the largest number of machines."""
    _, output = launch('dist_train.sh', 'a.py', 2, '--resume', gpus=2, **ELASTIC)
    command = started(output)
    expected = {'--nnodes=1:4', '--rdzv-backend=c10d', '--rdzv-endpoint=host0:29511'}
    assert {*expected, '--batch-of=8'} <= set(command)
    assert not any(part.startswith('--rdzv-conf') for part in command)
    for rank, is_host in (('0', 1), ('3', 0)):
        _, output = launch(
            'dist_train.sh', 'a.py', 2, '--resume', '--batch-of=16', gpus=2,
            NODE_RANK=rank, LOCAL_ADDR='host3', **ELASTIC,
        )  # fmt: skip
        assert {f'--rdzv-conf=is_host={is_host}', '--local-addr=host3'} <= set(started(output))
        assert '--batch-of=8' not in output


@pytest.mark.parametrize(
    ('script', 'arguments', 'variables', 'match'),
    [
        ('dist_train.sh', ['a.py', 2], ELASTIC, r'NNODES=1:4.*--resume'),
        ('dist_train.sh', ['a.py', 2, '--resume'], {'NNODES': '1:4'}, r'NNODES=1:4.*MASTER_ADDR'),
        ('dist_test.sh', ['a.py', 'a.pth', 2], ELASTIC, r'NNODES=1:4 .*NNODES=4 '),
        ('dist_train.sh', ['a.py', 2], {'NNODES': '4:2'}, r"NNODES='4:2'.*MIN:MAX"),
        ('dist_train.sh', ['a.py', 2], {'NNODES': 'two'}, r"NNODES='two'.*MIN:MAX"),
        ('dist_train.sh', ['a.py', 2], {'NNODES': '0'}, r"NNODES='0'.*MIN:MAX"),
    ],
)
def test_wrong_numbers_of_machines(launch, script, arguments, variables, match):
    status, output = launch(script, *arguments, gpus=None, **variables)
    assert status == 2, output
    assert re.search(match, output), output
    assert 'STARTED' not in output


def test_a_port_can_be_fixed(launch):
    _, output = launch('dist_train.sh', 'a.py', 2, gpus=2, PORT='29512')
    assert '--master-port=29512' in started(output)


def test_restarts_are_torchruns(launch):
    status, output = launch('dist_train.sh', 'a.py', 2, gpus=2, MAX_RESTARTS='3')
    assert status == 0
    assert '--max-restarts=3' in started(output)
    assert any('SIGUSR1' in part for part in started(output))
    _, output = launch('dist_train.sh', 'a.py', 1, gpus=1, MAX_RESTARTS='3')
    assert started(output)[0] == 'torchrun'
    status, output = launch('dist_train.sh', 'a.py', 2, gpus=None, MAX_RESTARTS='-1')
    assert status == 2
    assert "MAX_RESTARTS='-1'" in output


@pytest.mark.parametrize(
    ('failures', 'first', 'status'),
    [
        # rank: exit status, seconds after the first
        ({0: (3, 0), 1: (-9, 0)}, 'process 1 was killed by SIGKILL', 137),
        ({0: (-9, 30), 1: (3, 0)}, 'process 1 failed with exit status 3', 3),
        ({0: (-15, 0), 1: (2, 0)}, 'process 1 failed with exit status 2', 2),
        ({0: (75, 0), 1: (-15, 0)}, 'process 0 failed with exit status 75', 75),
    ],
)
def test_the_cause_of_a_failure_is_named_first(failures, first, status):
    launcher = runpy.run_path(str(ROOT / 'tools/_torchrun.py'))
    ended = {
        rank: SimpleNamespace(exitcode=code, timestamp=1000 + later)
        for rank, (code, later) in failures.items()
    }
    text, returned = launcher['describe'](ended)
    assert text.startswith(first)
    assert all(f'process {rank}' in text for rank in failures)
    assert returned == status


AGENT = """
import sys
from torch.distributed import run
from tnt_backbone.run.launcher_agent import use_agent
use_agent(is_elastic=False)
run.main(['--standalone', '--local-addr=127.0.0.1', '--max-restarts=2', *sys.argv[1:]])
"""


@pytest.mark.slow
@pytest.mark.parametrize(('status', 'starts'), [(3, 3), (2, 1), (75, 1)])
def test_a_mistake_is_not_made_again(tmp_path, status, starts):
    tool = stand_in(
        tmp_path / 'tool.py', 'import sys\nprint("STARTED")\nsys.exit(int(sys.argv[1]))'
    )
    command = [sys.executable, '-c', AGENT, tool, str(status)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert result.stdout.count('STARTED') == starts


@pytest.mark.parametrize(
    ('script', 'arguments'),
    [
        ('dist_train.sh', []),
        ('dist_train.sh', ['a.py']),
        ('dist_train.sh', ['a.py', '0']),
        ('dist_train.sh', ['a.py', 'two']),
        ('dist_train.sh', ['a.py', '--amp']),
        ('dist_test.sh', ['a.py', '2']),
        ('dist_test.sh', ['a.py', 'a.pth', '-1']),
        ('slurm_train.sh', ['partition', 'job', 'a.py']),
        ('slurm_test.sh', []),
    ],
)
def test_wrong_arguments_show_the_usage(tmp_path, script, arguments):
    status, output = run(script, *arguments, cwd=tmp_path)
    assert status == 2
    assert f'bash tools/{script}' in output


@pytest.mark.parametrize(
    ('script', 'tool', 'third', 'option'),
    [
        ('slurm_train.sh', 'train.py', 'work', '--work-dir=work'),
        ('slurm_test.sh', 'test.py', 'a.pth', 'a.pth'),
    ],
)
def test_slurm_commands(tmp_path, script, tool, third, option):
    stand_in(
        tmp_path / 'srun', '#!/bin/bash\nprintf "%s\\n" "$@"\necho "port=$MASTER_PORT"\nexit 7\n'
    )
    for name in ('a.py', 'a.pth'):
        (tmp_path / name).touch()
    path = {'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    arguments = ('gpu', 'my job', 'a.py', third, '--cfg-options', 'a=[1, 2]')
    status, output = run(script, *arguments, cwd=tmp_path, **path)
    assert status == 7  # srun's own
    lines = output.splitlines()
    assert lines[:7] == [
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:8',
        '--ntasks=8',
        '--ntasks-per-node=8',
        '--cpus-per-task=5',
        '--kill-on-bad-exit=1',
    ]
    command = ['-u', str(ROOT / 'tools' / tool), 'a.py', option, '--cfg-options', 'a=[1, 2]']
    assert lines[8:] == [*command, '--launcher=slurm', 'port=']

    sizes = {
        'GPUS': '4',
        'CPUS_PER_TASK': '2',
        'SRUN_ARGS': '--time=1 --exclusive',
        'PORT': '29513',
    }
    _, output = run(script, *arguments, cwd=tmp_path, **path, **sizes)
    lines = output.splitlines()
    assert lines[2:5] == ['--gres=gpu:4', '--ntasks=4', '--ntasks-per-node=4']
    assert lines[7:9] == ['--time=1', '--exclusive']
    assert lines[-1] == 'port=29513'


PROBE = """
import hashlib, json, os, sys
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

opened = []
sys.addaudithook(lambda event, data: event == 'open' and opened.append(str(data[0])))

@HOOKS.register_module()
class Probe(Hook):
    def before_train(self, runner):
        state = runner.model.module.backbone.state_dict()
        numbers = torch.cat([tensor.double().flatten() for tensor in state.values()])
        digest = hashlib.sha256(numbers.numpy().tobytes()).hexdigest()
        reads = sum(path.endswith('weights.pth') for path in opened)
        with open(f"probe_{os.environ['RANK']}.json", 'w') as file:
            json.dump([reads, digest], file)
"""


def interrupt(number, said, *arguments, folder, **variables):
    """Start a long training in two processes, and end it when its log says something.

    Returns:
        Its exit status and its log.
    """
    log = folder / 'log'
    options = ('train_cfg.max_epochs=10000', 'train_dataloader.num_workers=1')
    with log.open('w') as file:
        process = subprocess.Popen(
            ['bash', ROOT / 'tools/dist_train.sh', *arguments, '--cfg-options', *options],
            cwd=folder,
            env=environment(**variables),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        while said not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        below = psutil.Process(process.pid).children(recursive=True)
        assert len(below) >= 4  # two processes, a worker each
        process.send_signal(number)
        status = process.wait(timeout=60)
        assert psutil.wait_procs(below, timeout=30)[1] == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return status, log.read_text()


@cpu_only
def test_two_processes_train_and_resume(tiny_config, tmp_path):
    """The config warms up over 1000 iterations, has a data worker a process, and validates.

    The weights are read by process 0: after the initialisation, mmengine sends all parameters of
    process 0 to the others.
    """
    (tmp_path / 'probe.py').write_text(PROBE)
    config = tmp_path / 'probed.py'
    config.write_text(
        f"_base_ = ['{tiny_config}']\n"
        "custom_imports = dict(imports=['probe'])\n"
        "custom_hooks = [dict(type='Probe')]\n"
        'randomness = dict(seed=0)\n'
    )
    options = dict(Config.fromfile(tiny_config).model.backbone)
    options.pop('type')
    weights = TNT(**options).state_dict()
    torch.save(weights, tmp_path / 'weights.pth')

    arguments = (str(config), '2', '--weights', str(tmp_path / 'weights.pth'))
    place = {'PYTHONPATH': str(tmp_path)}
    status, output = interrupt(
        signal.SIGTERM, 'bbox_mAP_copypaste', *arguments, folder=tmp_path, **place
    )
    assert status == 75, output  # to be resumed
    found = [json.loads((tmp_path / f'probe_{rank}.json').read_text()) for rank in (0, 1)]
    numbers = torch.cat([value.double().flatten() for value in weights.values()])
    digest = hashlib.sha256(numbers.numpy().tobytes()).hexdigest()
    assert [start for _, start in found] == [digest, digest]
    assert found[0][0] > 0
    assert found[1][0] == 0
    # one process logs; 4 images are 2 x 2
    assert len(re.findall(r'Epoch\(train\) +\[1\]\[2/2\]', output)) == 1

    saved = (tmp_path / 'work_dirs/probed/last_checkpoint').read_text()
    done = torch.load(saved, weights_only=False)['meta']
    last = done['epoch'] + 1
    ending = ('--resume', '--cfg-options', f'train_cfg.max_epochs={last}')
    status, output = run('dist_train.sh', *arguments, *ending, cwd=tmp_path, **place)
    assert status == 0, output
    assert f'resumed epoch: {done["epoch"]}, iter: {done["iter"]}' in output
    assert f'Epoch(train) [{last}][2/2]' in output
    assert 'Epoch(train) [1]' not in output


@cpu_only
@pytest.mark.slow
def test_two_processes_measure_what_one_does(tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train.main([str(tiny_config), '--work-dir', 'trained'])
    checkpoint = tmp_path / 'trained/epoch_1.pth'
    status, output = run(
        'dist_test.sh', tiny_config, checkpoint, 2, '--work-dir', 'test', cwd=tmp_path
    )
    assert status == 0, output
    assert 'Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ]' in output
    (file,) = (tmp_path / 'test').glob('*/*.json')
    both = json.loads(file.read_text())['coco/bbox_mAP']

    test.main([str(tiny_config), str(checkpoint), '--work-dir', 'one', '--no-report'])
    (file,) = (tmp_path / 'one').glob('*/*.json')
    assert json.loads(file.read_text())['coco/bbox_mAP'] == both


@cpu_only
@pytest.mark.slow
def test_an_interrupted_run_leaves_no_process(tiny_config, tmp_path):
    """Ctrl-C, at once; the other test sends SIGTERM."""
    status, _ = interrupt(signal.SIGINT, 'Epoch(train)', str(tiny_config), '2', folder=tmp_path)
    assert status != 0


@cpu_only
def test_a_mistake_is_said_once_and_its_status_is_returned(tmp_path):
    status, output = run('dist_train.sh', 'gone.py', 2, cwd=tmp_path)
    assert status == 2
    assert output.count("'gone.py'") == 1
    assert 'Traceback' not in output


@cpu_only
@pytest.mark.slow
def test_two_machines(tiny_config, tmp_path):
    """Two launchers on this machine stand for two machines."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    options = ('val_cfg=None', 'val_dataloader=None', 'val_evaluator=None')
    processes = [
        subprocess.Popen(
            [
                'bash',
                str(ROOT / 'tools/dist_train.sh'),
                str(tiny_config),
                '1',
                '--work-dir',
                f'node{rank}',
                '--cfg-options',
                *options,
            ],
            cwd=tmp_path,
            env=environment(NNODES='2', NODE_RANK=str(rank), MASTER_ADDR='127.0.0.1', PORT=port),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert 'Epoch(train) [1][2/2]' in outputs[0]  # 4 images are 2 x 2
    assert 'Epoch(train)' not in outputs[1]
