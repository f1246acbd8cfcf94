"""Runs that start again with fewer images at a time after the memory was used up."""

import json
import os
import re
import time

import pytest
import torch
from mmengine.config import Config

from tests.faults.launched import Launched
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.cli.train import parse_args
from tnt_backbone.errors import InputError
from tnt_backbone.run import retry
from tnt_backbone.run.resume import RESTARTS, STARTED

# A hook that stands for a GPU that holds one image: it fails in process 1, or in the only one.
FULL = """
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import ValLoop

def fail():
    raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')

@HOOKS.register_module()
class Full(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        parts = data_batch if isinstance(data_batch, list) else [data_batch]
        if runner.iter == 2 and max(len(part['inputs']) for part in parts) > 1:
            if get_rank() == get_world_size() - 1:
                fail()

ValLoop.run_iter_before = ValLoop.run_iter
def run_iter(self, idx, data_batch):
    if len(data_batch['inputs']) > 1:
        fail()
    return self.run_iter_before(idx, data_batch)
ValLoop.run_iter = run_iter
"""
CONFIG = """
_base_ = ['{}']
custom_imports = dict(imports=['tnt_backbone.engine', 'full_gpu'])
custom_hooks = [dict(type='Full')]
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=4, val_interval=4)
train_dataloader = dict(batch_size=4, sampler=dict(_delete_=True, type='InfiniteSampler'))
val_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2, save_best=None))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
"""


@pytest.fixture
def cfg(tmp_path):
    return Config(
        dict(
            work_dir=str(tmp_path),
            train_dataloader=dict(batch_size=6),
            val_dataloader=dict(batch_size=2),
        )
    )


@pytest.fixture
def restarted(monkeypatch):
    monkeypatch.setenv(RESTARTS, '1')
    monkeypatch.setenv(STARTED, str(time.time_ns() - 10**9))
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '1')


def test_what_is_tried_next(cfg, monkeypatch):
    monkeypatch.setattr(retry, 'place_of', lambda error: ('training', ''))
    assert retry.remedy(cfg, MemoryError()) == {'split_batch': 2}
    cfg.split_batch = 2
    cfg.custom_hooks = [dict(type='StepInPartsHook', parts=2)]
    assert retry.remedy(cfg, MemoryError()) == {'split_batch': 6}
    cfg.custom_hooks[0].parts = 6
    assert retry.remedy(cfg, MemoryError()) == {}
    monkeypatch.setattr(retry, 'place_of', lambda error: ('validation', ''))
    assert retry.remedy(cfg, MemoryError()) == {'val_batch_size': 1}
    cfg.val_dataloader.batch_size = 1
    assert retry.remedy(cfg, MemoryError()) == {}


def test_all_processes_read_the_notes_of_their_own_run_only(cfg, tmp_path, restarted, monkeypatch):
    (tmp_path / 'out_of_memory_0.json').write_text(json.dumps({'split_batch': 2}))
    notes = {'split_batch': 3, 'val_batch_size': 1}
    (tmp_path / 'out_of_memory_1.json').write_text(json.dumps(notes))
    assert retry.noted(cfg) == notes
    os.utime(tmp_path / 'out_of_memory_1.json', (1, 1))
    assert retry.noted(cfg) == {'split_batch': 2}
    monkeypatch.setenv(RESTARTS, '0')
    assert retry.noted(cfg) == {}


def test_one_process_runs_its_command_again(cfg, restarted, monkeypatch, capsys):
    def execute(program, arguments):
        raise SystemExit(f'{program} {arguments}')

    monkeypatch.setattr(os, 'execv', execute)
    monkeypatch.setattr(retry.sys, 'orig_argv', ['python', 'tools/train.py', 'a.py'])
    with pytest.raises(SystemExit, match=r"'tools/train\.py', 'a\.py'"):
        retry.start_again(cfg, 'none', {'split_batch': 2}, 'out of memory in training')
    assert retry.noted(cfg) == {'split_batch': 2}
    assert os.environ[RESTARTS] == '2'
    assert 'split_batch=2' in capsys.readouterr().err


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_that_do_not_start_again_are_refused(launcher):
    with pytest.raises(InputError, match=rf'--retry-oom.*{launcher}'):
        retry.check_launcher_restarts(launcher)


def test_it_is_asked_for():
    assert not parse_args(['a.py']).retry_oom
    assert parse_args(['a.py', '--retry-oom']).retry_oom


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
@pytest.mark.parametrize('processes', [1, 2])
def test_in_training_and_in_validation(processes, tiny_config, tmp_path):
    """The run ends with the weights of one that had the memory."""
    (tmp_path / 'full_gpu.py').write_text(FULL)
    config = tmp_path / 'long.py'
    config.write_text(CONFIG.format(tiny_config))

    def start(*arguments):
        return Launched(config, tmp_path, *arguments, processes=processes, PYTHONPATH=str(tmp_path))

    run = start('--work-dir', 'retried', '--retry-oom')
    assert run.launcher.wait() == 0, run.output()
    said = run.output()
    assert re.search(r'out of memory in training.*\n.*again with split_batch=2', said), said
    assert re.search(r'again with split_batch=4', said), said
    assert re.search(r'out of memory in validation.*\n.*again with val_batch_size=1', said), said
    assert 'resumed epoch: 0, iter: 2' in said
    notes = (tmp_path / 'retried').glob('out_of_memory_*.json')
    assert {'split_batch': 4, 'val_batch_size': 1} in [json.loads(p.read_text()) for p in notes]

    other = start('--work-dir', 'had_memory', '--split-batch', '4', '--no-validate')
    assert other.launcher.wait() == 0, other.output()
    one, two = (
        read_tensors(str(tmp_path / name / 'iter_4.pth')) for name in ('retried', 'had_memory')
    )
    for key in one:
        torch.testing.assert_close(one[key], two[key])

    refused = start('--work-dir', 'not_asked_for')
    assert refused.launcher.wait() == 2, refused.output()
    assert '--split-batch 2' in refused.output()
