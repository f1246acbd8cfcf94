"""Checkpoints of the demo's three small models with random weights, and pictures for them."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.conftest import ROOT

CONFIGS = {
    'detection': 'retinanet_tnt_digits',
    'segmentation': 'fpn_tnt_digits',
    'classification': 'tnt_digits_classifier',
}
SIZES = [(96, 128), (128, 128), (128, 96), (96, 128)]  # height, width


def write_data(root):
    """Write the demo's folder with four pictures of noise and empty annotations."""
    rng = np.random.default_rng(0)
    for folder in ('val', 'semantic/val', 'annotations'):
        (root / folder).mkdir(parents=True)
    for number, size in enumerate(SIZES):
        cv2.imwrite(str(root / 'val' / f'{number}.jpg'), rng.integers(0, 256, (*size, 3)))
        cv2.imwrite(str(root / 'semantic/val' / f'{number}.png'), np.zeros(size, np.uint8))
    for number in range(10):
        label = root / 'classification/val' / str(number)
        label.mkdir(parents=True)
        cv2.imwrite(str(label / f'{number}.jpg'), rng.integers(0, 256, (64, 64, 3)))
    content = {
        'info': {},
        'images': [
            {'id': i, 'file_name': f'{i}.jpg', 'height': h, 'width': w}
            for i, (h, w) in enumerate(SIZES)
        ],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': str(i)} for i in range(10)],
    }
    (root / 'annotations/instances_val.json').write_text(json.dumps(content))


def write_checkpoint(task, folder, **meta):
    """Write the checkpoint of a task into a folder; return its path and config."""
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[task]}.py')
    cfg.model.backbone.init_cfg = None
    if task == 'detection':
        cfg.model.test_cfg.score_thr = 0.0
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.model.data_preprocessor})
    for parameter in model.parameters():  # scores that differ, in the heads too
        torch.nn.init.normal_(parameter, std=0.05)
    path = folder / f'{task}.pth'
    content = {'meta': {'cfg': cfg.pretty_text, **meta}, 'state_dict': model.state_dict()}
    torch.save(content, path)
    return path, cfg


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The demo's folder with four pictures of noise and empty annotations."""
    root = tmp_path / 'digits'
    write_data(root)
    monkeypatch.setenv('TNT_DEMO_DATA', f'{root}/')
    return root


@pytest.fixture
def make_checkpoint(tmp_path, data):
    """Return a function that writes the checkpoint of a task and returns its path and config."""
    return lambda task, **meta: write_checkpoint(task, tmp_path, **meta)
