"""What ``tnt train --dry-run`` prints, and what it refuses."""

import pytest

from tnt_backbone.cli import dry_run, tnt, train
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM
from tnt_backbone.run.dry_run import DryRun

RUN = {
    'processes': 64, 'images': 2, 'accumulation': 1, 'base_batch_size': 16,
    'learning_rates': (1e-4, 1e-4), 'scaled': False, 'data': 117266, 'iterations': 11004,
    'iterations_per_epoch': 917, 'warm_up': ('param_scheduler.0.end', 1000), 'wrapper': 'DDP',
    'trained': 10, 'memory': {'parameters': 2**30}, 'all_reduce': 64 * 10**6,
}  # fmt: skip


def describe(**changes):
    return {finding.name: finding for finding in dry_run.describe(DryRun(**{**RUN, **changes}))}


def test_a_larger_batch_needs_another_learning_rate():
    found = describe()
    assert '128 images' in found['batch'].text
    assert (found['learning rate'].status, found['learning rate'].fix) == (NOTE, '--auto-scale-lr')
    found = describe(scaled=True, learning_rates=(8e-4, 8e-4))
    assert found['learning rate'].status == OK
    assert found['learning rate'].text.startswith('0.0008,')
    assert describe(accumulation=2, images=1, processes=8)['learning rate'].status == OK
    assert describe(base_batch_size=None)['learning rate'].status == OK


def test_steps_and_epochs():
    assert describe()['steps'].text.startswith('11004 in all; 917 ')
    assert '12 epochs' in describe()['steps'].text
    assert describe(accumulation=2)['steps'].text.startswith('5502 ')
    unknown = describe(data=None, iterations=None, iterations_per_epoch=None)['steps']
    assert unknown.status == NOTE
    by_iteration = describe(data=None, iterations=160000, iterations_per_epoch=None)['steps']
    assert '160000' in by_iteration.text


def test_more_images_in_an_iteration_than_there_are():
    finding = describe(data=100, iterations_per_epoch=1)['training images']
    assert (finding.status, finding.fix) == (PROBLEM, '--gpus 50')
    assert 'training images' not in describe(data=128)


@pytest.mark.parametrize(
    ('iterations', 'status'), [(11004, None), (3000, NOTE), (1000, PROBLEM), (12, PROBLEM)]
)
def test_a_warm_up_longer_than_the_run(iterations, status):
    found = describe(iterations=iterations)
    assert ('warm-up' in found) == (status is not None)
    if status:
        assert found['warm-up'].status == status
        assert found['warm-up'].fix.startswith('--cfg-options param_scheduler.0.end=')


def test_bytes_that_processes_send():
    assert '64.0 MB' in describe()['all-reduce'].text
    assert '126.0 MB' in describe()['all-reduce'].text  # 2 * 63 / 64
    assert 'none' in describe(processes=1)['all-reduce'].text
    assert 'FSDP' in describe(all_reduce=None, wrapper='FSDP')['all-reduce'].text


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        train.main([str(argument) for argument in arguments])
    return ended.value.code


def test_a_run_of_two_processes_is_described(tiny_config, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    monkeypatch.chdir(tmp_path)
    options = ('--dry-run', '--gpus', 2, '--amp', '--cfg-options')
    assert run(tiny_config, *options, 'param_scheduler=None') == 0
    said = capsys.readouterr().out
    assert '2 images per step' in said
    assert '2 in all; 2 iterations per epoch of 4 images' in said
    assert not (tmp_path / 'work_dirs').exists()
    assert run(tiny_config, *options, 'train_dataloader.dataset.ann_file=none.json') == 1
    said = capsys.readouterr().out
    assert 'none.json' in said
    assert 'all-reduce' in said


def test_wrong_use(tiny_config, capsys):
    for options, word in [
        (('--dry-run',), '--gpus'),
        (('--dry-run', '--gpus', '0'), '--gpus'),
        (('--gpus', '8'), 'dist_train.sh'),
        (('--dry-run', '--gpus', '8', '--launcher', 'pytorch'), '--dry-run'),
    ]:
        assert run(tiny_config, *options) == 2
        assert word in capsys.readouterr().err


@pytest.mark.parametrize('dry', [['--dry-run'], ['--dry'], ['--d']])
def test_a_dry_run_starts_no_processes(dry):
    assert not tnt.starts_processes(['a.py', '--gpus', '64', *dry])
    assert tnt.starts_processes(['a.py', '--gpus=64', '--resume'])
