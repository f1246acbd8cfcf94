"""configs/retinanet_tnt_s_coco.py: what is built from it."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from tnt_backbone.run.pretrained import drop_pretrained

CONFIGS = Path(__file__).parents[2] / 'configs'
PATHS = sorted(CONFIGS.glob('*.py'))


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(CONFIGS / 'retinanet_tnt_s_coco.py')


@pytest.fixture(scope='module')
def detector(cfg):
    init_default_scope('mmdet')
    return MODELS.build(cfg.model)


@pytest.mark.parametrize('path', PATHS, ids=[path.stem for path in PATHS])
def test_every_config_stands_on_its_own(path):
    """No _base_ of another package, whose place differs between the two stacks."""
    for file in [path, *CONFIGS.rglob('_base_/**/*.py')]:
        assert not re.search(r'[\'"]\w+::', file.read_text()), file
        assert 'openmmlab.com' not in file.read_text()
    cfg = Config.fromfile(path)
    assert 'tnt_backbone' in cfg.custom_imports.imports
    if 't2t_vit' not in path.stem:  # whose weights want ImageNet's
        assert cfg.model.data_preprocessor.mean == cfg.model.data_preprocessor.std == [127.5] * 3


def test_weight_decay_spares_norms_biases_and_tables(cfg, detector):
    wrapper = build_optim_wrapper(detector, cfg.optim_wrapper)
    spared, decayed = set(), set()
    for group in wrapper.optimizer.param_groups:
        assert group['lr'] == 1e-4
        assert group['weight_decay'] in (0.0, 0.05)
        (decayed if group['weight_decay'] else spared).update(map(id, group['params']))

    norms = [m for m in detector.modules() if isinstance(m, nn.LayerNorm | nn.GroupNorm)]
    tables = [detector.backbone.get_parameter(n) for n in ('cls_token', 'word_pos', 'sentence_pos')]
    expected = {id(p) for module in norms for p in module.parameters()}
    expected |= {id(p) for name, p in detector.named_parameters() if name.endswith('bias')}
    expected |= {id(p) for p in tables}
    assert norms
    assert spared == expected
    assert spared | decayed == {id(p) for p in detector.parameters()}
    names = {id(p): name for name, p in detector.named_parameters()}
    assert all(names[key].endswith('weight') for key in decayed)


def test_maps_and_anchors_have_the_same_strides(detector):
    image = torch.zeros(1, 3, 128, 160)
    with torch.no_grad():
        levels = detector.extract_feat(image)
    strides = [stride for stride, _ in detector.bbox_head.prior_generator.strides]
    assert strides == [8, 16, 32, 64, 128]
    assert [tuple(level.shape[-2:]) for level in levels] == [
        (-(-128 // stride), -(-160 // stride)) for stride in strides
    ]
    assert {level.shape[1] for level in levels} == {256}


def test_the_schedule_is_the_1x(cfg):
    warm_up, steps = cfg.param_scheduler
    assert cfg.train_cfg.max_epochs == 12
    assert (warm_up.type, warm_up.by_epoch) == ('LinearLR', False)
    assert (steps.milestones, steps.gamma) == ([8, 11], 0.1)
    assert cfg.auto_scale_lr == {'enable': False, 'base_batch_size': 16}
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size
    assert cfg.optim_wrapper.clip_grad.max_norm > 0


def test_it_starts_from_imagenet_weights_unless_told_otherwise(cfg):
    cfg = cfg.copy()
    assert cfg.model.backbone.init_cfg == {'type': 'Pretrained', 'checkpoint': 'tnt://tnt_s'}
    drop_pretrained(cfg)
    assert cfg.model.backbone.init_cfg is None
