"""No door that reads weights, or a config in them, runs code of the file."""

import http.server
import pickle
import re
import threading
from functools import partial
from importlib import import_module

import pytest
import torch
from mmengine.config import Config

import tnt_backbone
from tests.conftest import ROOT
from tests.faults.hostile import (
    ARCH,
    CLASSIFIER,
    DETECTOR,
    SEGMENTOR,
    write_bomb,
    write_config_bomb,
)
from tnt_backbone.checkpoint_loaders import only_data
from tnt_backbone.checkpoints import load_pretrained
from tnt_backbone.checkpoints.read import read_meta, read_tensors
from tnt_backbone.errors import UserError


def initialised(path, _config):
    backbone = tnt_backbone.TNT(ARCH, init_cfg=dict(type='Pretrained', checkpoint=path))
    backbone.init_weights()


def command(name, *arguments):
    """Return a door: a command in this process, which must end with a message."""

    def run(path, config):
        module = import_module(f'tnt_backbone.cli.{name}')
        places = {'FILE': path, 'CONFIG': config}
        given = [re.sub('FILE|CONFIG', lambda m: str(places[m[0]]), text) for text in arguments]
        with pytest.raises(SystemExit) as ended:
            module.main(given)
        assert ended.value.code == 2
        raise UserError

    return run


def predict(path, _config):
    from tnt_backbone.predict.load import load_model

    load_model(path)


def load_into_any_model(path, _config):
    from mmengine.runner import load_checkpoint

    load_checkpoint(torch.nn.Linear(1, 2), path)


def part_of_a_model(path, _config):
    from mmengine.model import BaseModule

    BaseModule(dict(type='Pretrained', checkpoint=path)).init_weights()


def detector(path, _config):
    from mmdet.apis import init_detector

    init_detector(Config(DETECTOR), path, device='cpu')


def segmentor(path, _config):
    from mmseg.apis import init_model

    init_model(Config(SEGMENTOR), path, device='cpu')


def classifier(path, _config):
    from mmpretrain import get_model

    get_model(Config(CLASSIFIER), pretrained=path, device='cpu')


def inferencer_of_a_detector(path, _config):
    from mmdet.apis import DetInferencer

    DetInferencer(weights=path, device='cpu')


def inferencer_of_a_segmentor(path, _config):
    from mmseg.apis import MMSegInferencer

    MMSegInferencer(Config(SEGMENTOR), weights=path, device='cpu')


def inferencer_of_a_classifier(path, _config):
    from mmpretrain import ImageClassificationInferencer

    ImageClassificationInferencer(Config(CLASSIFIER), pretrained=path, device='cpu')


PICTURE = str(ROOT / 'docs/images/scene.jpg')
LOCAL = {
    'read_tensors': lambda path, _: read_tensors(path),
    'read_meta': lambda path, _: read_meta(path),
    'load_pretrained': lambda path, _: load_pretrained(tnt_backbone.TNT(ARCH), path),
    'init_cfg': initialised,
    'convert': command('convert_checkpoint', 'FILE', 'FILE.converted.pth'),
    'publish': command('publish', 'FILE', 'FILE.published.pth'),
    'predict': predict,
    'tnt predict': command(
        'predict', 'FILE', str(ROOT / 'docs/images/scene.jpg'), '--out', 'FILE.out'
    ),
    'tnt test': command('test', 'FILE'),
    'tnt test with a config': command('test', 'CONFIG', 'FILE'),
    'tnt train --weights': command('train', 'CONFIG', '--weights', 'FILE'),
    'tnt train --resume': command('train', 'CONFIG', '--resume', 'FILE', '--from-scratch'),
    'load_from': command('train', 'CONFIG', '--cfg-options', 'load_from=FILE'),
    'tnt export': command('export', 'FILE', '--out', 'FILE.onnx'),
    'load_checkpoint': load_into_any_model,
    'Pretrained of a part': part_of_a_model,
    'init_detector': detector,
    'init_model': segmentor,
    'get_model': classifier,
    'DetInferencer': inferencer_of_a_detector,
    'MMSegInferencer': inferencer_of_a_segmentor,
    'ImageClassificationInferencer': inferencer_of_a_classifier,
}


OLD = ('read_tensors', 'read_meta', 'load_checkpoint')  # for the older format of torch


@pytest.fixture
def mark(tmp_path):
    """A file that only code in a checkpoint would make."""
    return tmp_path / 'mark'


@pytest.mark.parametrize(
    ('door', 'zipped'), [*((door, True) for door in LOCAL), *((door, False) for door in OLD)]
)
def test_a_pickle_runs_no_code(tmp_path, mark, monkeypatch, tiny_config, door, zipped):
    path = write_bomb(tmp_path / 'bomb.pth', mark, zipped=zipped)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        LOCAL[door](str(path), tiny_config)
    assert not mark.exists()


def test_the_pickle_is_armed(tmp_path, mark):
    """Otherwise the test above would show nothing."""
    torch.load(write_bomb(tmp_path / 'bomb.pth', mark), weights_only=False)
    assert mark.exists()


@pytest.fixture
def address(tmp_path):
    """The address of a server of this machine that sends the files of ``tmp_path``."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    'door', ['load_pretrained', 'predict', 'load_checkpoint', 'init_detector', 'get_model']
)
def test_a_pickle_behind_an_address_runs_no_code(
    tmp_path, mark, monkeypatch, address, tiny_config, door
):
    write_bomb(tmp_path / 'bomb.pth', mark)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with pytest.raises(UserError):
        LOCAL[door](f'{address}/bomb.pth', tiny_config)
    assert not mark.exists()


def test_a_loader_that_would_run_code_reads_data(tmp_path, mark):
    """As in a fork of mmengine, whose loader reads again what torch has refused."""
    path = write_bomb(tmp_path / 'bomb.pth', mark)
    with only_data(), pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=False)
    assert not mark.exists()


def test_the_user_may_ask_torch_for_code(tmp_path, mark, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    load_into_any_model(str(write_bomb(tmp_path / 'bomb.pth', mark)), None)
    assert mark.exists()


CONFIGS = {
    'code': 'import os\nos.mkdir({mark!r})',
    'call': "default_scope = 'mmdet'\nmodel = open({mark!r}, 'w')",
    'type': "default_scope = 'mmdet'\nmodel = dict(type='os.mkdir', path={mark!r})",
    'import': "default_scope = 'mmdet'\ncustom_imports = dict(imports=['hostile_module'])",
    'base': "_base_ = [{base!r}]\ndefault_scope = 'mmdet'\nmodel = dict(type='RetinaNet')",
}


@pytest.mark.parametrize('text', CONFIGS)
@pytest.mark.parametrize('door', ['predict', 'DetInferencer'])
def test_a_config_in_weights_runs_no_code(tmp_path, mark, monkeypatch, tiny_config, door, text):
    for name in ('base.py', 'hostile_module.py'):
        (tmp_path / name).write_text(f'import os\nos.mkdir({str(mark)!r})')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    config = CONFIGS[text].format(mark=str(mark), base=str(tmp_path / 'base.py'))
    path = write_config_bomb(tmp_path / 'bomb.pth', config)
    with pytest.raises((UserError, KeyError, TypeError)):
        LOCAL[door](str(path), tiny_config)
    assert not mark.exists()
