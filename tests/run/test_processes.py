"""Processes without a GPU."""

import datetime
import os
import select
import signal
import sys
import time

import pytest
import torch
from mmengine.config import Config

from tnt_backbone.run import processes as distributed
from tnt_backbone.run.processes import (
    LAUNCHER_VARIABLES,
    check_launcher,
    end_with_launcher,
    init_cpu_processes,
)

cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')


@pytest.fixture
def started(monkeypatch):
    calls = []
    monkeypatch.setattr(
        torch.distributed,
        'init_process_group',
        lambda *args, **kwargs: calls.append((args, kwargs)),
    )
    return calls


@cpu_only
def test_sync_batch_norm_becomes_plain(started):
    norm_cfg = dict(type='SyncBN', requires_grad=True)
    model = dict(decode_head=dict(norm_cfg=norm_cfg), auxiliary_head=[dict(norm_cfg=norm_cfg)])
    cfg = Config({'launcher': 'pytorch', 'model': model})
    init_cpu_processes(cfg)
    assert cfg.model.decode_head.norm_cfg == dict(type='BN', requires_grad=True)
    assert cfg.model.auxiliary_head[0].norm_cfg.type == 'BN'


@cpu_only
def test_gloo_is_started_with_the_configs_timeout_and_ddp_gets_no_device(started):
    cfg = Config(
        {'launcher': 'pytorch', 'env_cfg': {'dist_cfg': {'backend': 'nccl', 'timeout': 60}}}
    )
    init_cpu_processes(cfg)
    assert started == [(('gloo',), {'timeout': datetime.timedelta(seconds=60)})]
    assert cfg.model_wrapper_cfg == {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': False,
        'device_ids': None,
    }


@cpu_only
@pytest.mark.parametrize(
    ('kind', 'device'),
    [
        ('MMDistributedDataParallel', {'device_ids': None}),
        ('MMFullyShardedDataParallel', {'device_id': torch.device('cpu')}),
        ('Mine', {}),
    ],
)
def test_the_configs_own_wrapper_is_kept(started, kind, device):
    cfg = Config({'launcher': 'pytorch', 'model_wrapper_cfg': {'type': kind, 'mine': True}})
    init_cpu_processes(cfg)
    assert cfg.model_wrapper_cfg == {'type': kind, 'mine': True, **device}


@cpu_only
def test_slurm_without_gpu_is_refused(started):
    with pytest.raises(ValueError, match=r'--launcher slurm\b.*GPU.*dist_train\.sh'):
        init_cpu_processes(Config({'launcher': 'slurm'}))


@pytest.mark.parametrize(('launcher', 'device'), [('none', 'cpu'), ('pytorch', 'cuda')])
def test_one_process_or_a_gpu_is_left_to_mmengine(started, monkeypatch, launcher, device):
    monkeypatch.setattr(distributed, 'get_device', lambda: device)
    cfg = Config({'launcher': launcher, 'env_cfg': {'dist_cfg': {'backend': 'nccl'}}})
    init_cpu_processes(cfg)
    assert started == []
    assert 'model_wrapper_cfg' not in cfg
    assert cfg.env_cfg.dist_cfg.backend == 'nccl'


@pytest.mark.parametrize('launcher', LAUNCHER_VARIABLES)
def test_a_launcher_that_did_not_start_the_process_is_refused(monkeypatch, launcher):
    names = LAUNCHER_VARIABLES[launcher]
    for name in names:
        monkeypatch.setenv(name, '0')
    check_launcher(launcher)
    for name in names:
        with monkeypatch.context() as without:
            without.delenv(name)
            with pytest.raises(ValueError, match=rf'--launcher {launcher}\b.* {name}\b'):
                check_launcher(launcher)


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='the call is of Linux')
@pytest.mark.parametrize('is_dead', [False, True])
def test_a_process_ends_with_its_launcher(monkeypatch, is_dead):
    """A child stands for the launcher, and has a child; a pipe is open as long as that lives."""
    reader, writer = os.pipe()
    launcher = os.fork()
    if launcher == 0:
        os.close(reader)
        if os.fork() == 0:
            os.environ['TNT_LAUNCHER_PID'] = '1' if is_dead else str(os.getppid())
            end_with_launcher('pytorch')
            os.write(writer, b'ready')
        else:
            os.close(writer)
        while True:
            time.sleep(1)
    os.close(writer)
    try:
        if not is_dead:
            assert os.read(reader, 5) == b'ready'
            assert select.select([reader], [], [], 0.2)[0] == []  # it lives
            os.kill(launcher, signal.SIGKILL)
        assert select.select([reader], [], [], 10)[0] == [reader]
        assert os.read(reader, 5) == b''
    finally:
        os.close(reader)
        os.kill(launcher, signal.SIGKILL)
        os.waitpid(launcher, 0)
