"""Models that were trained on data sets of arrays, CIFAR's, predict on files."""

import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope

from tests.conftest import ROOT
from tnt_backbone import load_model


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Four pictures in CIFAR-10's form, RGB, and the same as files."""
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    pictures[..., 0] //= 4  # red and blue differ
    folder = tmp_path / 'data/cifar10/cifar-10-batches-py'
    folder.mkdir(parents=True)
    planes = pictures.transpose(0, 3, 1, 2).reshape(4, -1)
    (folder / 'test_batch').write_bytes(pickle.dumps({'data': planes, 'labels': [0, 1, 2, 3]}))
    for i, pixels in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f'{i}.png'), pixels[..., ::-1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    'name', ['t2t_vit_14_cifar10', pytest.param('tnt_s_cifar10', marks=pytest.mark.slow)]
)
@pytest.mark.parametrize('inside', [True, False])
def test_a_file_is_seen_as_the_array(cifar, monkeypatch, name, inside):
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model.to_dict()).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        kind = DATASETS.get('mmpretrain.CIFAR10')
        monkeypatch.setattr(kind, '_check_integrity', lambda self: True)
        monkeypatch.setattr(kind, 'test_list', [['test_batch', '']])
        dataset = DATASETS.build({**cfg.test_dataloader.dataset, '_scope_': 'mmpretrain'})
        with torch.no_grad():
            expected = model.test_step(pseudo_collate([dataset[i] for i in range(4)]))
    meta = {'cfg': cfg.pretty_text} if inside else {}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, cifar / 'model.pth')

    config = None if inside else ROOT / f'configs/{name}.py'
    ours = load_model(cifar / 'model.pth', config=config, device='cpu')
    assert ours.classes[:2] == ('airplane', 'automobile')
    for i, sample in enumerate(expected):
        result = ours.predict(cifar / f'{i}.png')
        np.testing.assert_allclose(result.scores, sample.pred_score, atol=1e-6)
        swapped = ours.predict(cv2.imread(str(cifar / f'{i}.png'))[..., ::-1].copy())
        assert np.abs(swapped.scores - result.scores).max() > 1e-5  # order of channels matters
