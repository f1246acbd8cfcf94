"""Trackers: what each backend is told, and the numbers that TensorBoard reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.engine.toy_run import toy_runner
from tnt_backbone.cli import train
from tnt_backbone.run import trackers
from tnt_backbone.run.trackers import TRACKERS, add_tracker

VARIABLES = (
    'WANDB_MODE',
    'WANDB_ERROR_REPORTING',
    'MLFLOW_TRACKING_URI',
    'MLFLOW_DISABLE_TELEMETRY',
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put modules in place of W&B, whose key is in its file, and of MLflow."""
    for name in VARIABLES:
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)

    def install(key=None):
        (tmp_path / 'wandb.py').write_text(f'class api:\n    api_key = {key!r}\n')
        (tmp_path / 'mlflow.py').write_text('')
        monkeypatch.delitem(sys.modules, 'wandb', raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    sys.modules.pop('wandb', None)


def backend(name, folder='work', **config):
    """Return what the option adds, and the note."""
    cfg = Config({'work_dir': str(folder), **config})
    (note,) = add_tracker(cfg, name)
    assert cfg.visualizer.vis_backends[0] == {'type': 'LocalVisBackend'}
    _, added = cfg.visualizer.vis_backends
    return dict(added), note


def test_wandb_is_offline_unless_somebody_is_logged_in_or_asks(installed, monkeypatch):
    installed()
    added, note = backend('wandb', 'a/mine')
    assert added == {
        'type': 'WandbVisBackend',
        'init_kwargs': {'project': 'mine', 'mode': 'offline'},
    }
    assert 'wandb sync' in note
    assert trackers.os.environ['WANDB_ERROR_REPORTING'] == 'false'
    installed(key='x')
    added, note = backend('wandb')
    assert added['init_kwargs'] == {'project': 'work'}
    assert 'sent' in note
    monkeypatch.setenv('WANDB_MODE', 'offline')
    assert backend('wandb')[0]['init_kwargs'] == {'project': 'work'}  # wandb reads it itself


def test_mlflow_writes_into_the_work_folder_unless_a_server_is_named(
    installed, monkeypatch, tmp_path
):
    installed()
    added, note = backend('mlflow', tmp_path / 'mine')
    address = f'sqlite:///{tmp_path}/mine/mlflow.db'
    assert added == {
        'type': 'MLflowVisBackend',
        'exp_name': 'mine',
        'tracking_uri': address,
        'artifact_location': f'{tmp_path}/mine/mlflow_files',
    }
    assert address in note
    assert trackers.os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true'
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://127.0.0.1:9')
    added, _ = backend('mlflow', 'mine')
    assert added['tracking_uri'] == 'http://127.0.0.1:9'
    assert 'artifact_location' not in added


def test_the_backends_take_these_arguments(installed, tmp_path):
    from mmengine.registry import VISBACKENDS

    installed()
    for name in TRACKERS:
        VISBACKENDS.build({**backend(name, tmp_path)[0], 'save_dir': str(tmp_path)})


def test_a_backend_of_the_config_stays(installed):
    installed()
    mine = {'type': 'mmengine.WandbVisBackend', 'init_kwargs': {'project': 'x'}}
    cfg = Config({'work_dir': 'a', 'visualizer': {'type': 'V', 'vis_backends': [mine]}})
    (note,) = add_tracker(cfg, 'wandb')
    assert 'stays' in note
    assert cfg.visualizer == {'type': 'V', 'vis_backends': [mine]}


@pytest.mark.parametrize('name', TRACKERS)
def test_a_missing_package_is_named_before_anything_else(name, capsys, monkeypatch, tiny_config):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit) as exit_:
        train.main([str(tiny_config), '--tracker', name])
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert f'--tracker {name}' in message
    assert f'pip install {name}' in message


def test_tensorboard_reads_the_numbers_of_the_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cfg = Config({'work_dir': str(tmp_path)})
    add_tracker(cfg, 'tensorboard')
    runner = toy_runner(
        tmp_path, scores=[0.5, 0.25, 0.75], visualizer=cfg.visualizer,
        default_hooks={'logger': {'type': 'LoggerHook', 'interval': 1}},
    )  # fmt: skip
    runner.train()
    (file,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    read = EventAccumulator(str(file.parent))
    read.Reload()
    for key, number in (('loss', 12), ('acc', 3)):
        expected = [(line['step'], line[key]) for line in lines if key in line]
        assert len(expected) == number
        found = [(event.step, event.value) for event in read.Scalars(key)]
        assert found == [(step, pytest.approx(value)) for step, value in expected]


def test_it_is_an_option_of_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', 'from tnt_backbone.cli.tnt import main; main()', 'train', '--help'],
        capture_output=True, text=True, cwd=Path(tmp_path),
    )  # fmt: skip
    assert '{tensorboard,wandb,mlflow}' in done.stdout
