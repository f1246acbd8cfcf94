"""Processes without a GPU."""

import datetime

import pytest
import torch
from mmengine.config import Config

from tnt_backbone.run import processes as distributed
from tnt_backbone.run.processes import LAUNCHER_VARIABLES, check_launcher, init_cpu_processes

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
