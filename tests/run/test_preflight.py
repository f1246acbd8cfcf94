"""Mistakes are found before a run starts."""

import re

import pytest
import torch
from mmengine.config import Config

from tnt_backbone.run.libraries import skip_validation
from tnt_backbone.run.preflight import check_testing, check_training, notes_on_test_size


def test_a_good_config_passes_and_bad_weights_do_not(tiny_config, tmp_path):
    cfg = Config.fromfile(tiny_config)
    assert check_training(cfg) == []
    cfg.model.backbone.frozen_stages = 1
    (note,) = check_training(cfg)
    assert 'model.backbone.frozen_stages=1' in note
    cfg.model.backbone.init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'no.pth')}
    with pytest.raises(FileNotFoundError, match='--from-scratch'):
        check_training(cfg)
    cfg.load_from = str(tmp_path / 'epoch_1.pth')
    with pytest.raises(FileNotFoundError, match=r'epoch_1\.pth'):
        check_testing(cfg)


def test_the_backbone_is_built_before_a_training_and_before_a_test(tiny_config, checkpoint):
    cfg = Config.fromfile(tiny_config)
    cfg.load_from = str(checkpoint)
    check_testing(cfg)
    cfg.model.backbone.frozen_stages = 99
    for check in (check_training, check_testing):
        with pytest.raises(ValueError, match=r'model\.backbone\b.*frozen_stages=99'):
            check(cfg)


@pytest.mark.parametrize('phase', ['val', 'test'])
def test_scores_that_cannot_be_measured_are_told_before(tiny_config, checkpoint, phase):
    cfg = Config.fromfile(tiny_config)
    cfg.load_from = str(checkpoint)
    cfg.model.head = dict(num_classes=3)
    cfg[f'{phase}_evaluator'] = dict(type='Accuracy', topk=(1, 5))
    with pytest.raises(ValueError, match=rf'{phase}_evaluator\.topk'):
        (check_training if phase == 'val' else check_testing)(cfg)


TOGETHER = {
    'train': ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    'val': ('val_dataloader', 'val_cfg', 'val_evaluator'),
    'test': ('test_dataloader', 'test_cfg', 'test_evaluator'),
}


@pytest.mark.parametrize(
    ('phase', 'key'), [(phase, key) for phase, keys in TOGETHER.items() for key in keys]
)
def test_what_the_runner_takes_together_must_be_there(tiny_config, checkpoint, phase, key):
    cfg = Config.fromfile(tiny_config)
    cfg.load_from = str(checkpoint)
    cfg[key] = None
    with pytest.raises(ValueError, match=rf'\b{key}\b.*{", ".join(TOGETHER[phase])}'):
        (check_testing if phase == 'test' else check_training)(cfg)


def test_a_training_needs_no_validation(tiny_config):
    cfg = Config.fromfile(tiny_config)
    skip_validation(cfg)
    assert check_training(cfg) == []


def test_an_unknown_optimizer_is_refused_with_names_that_are_near(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.optim_wrapper.optimizer.type = 'AdamWW'
    with pytest.raises(ValueError, match=r"optimizer\.type='AdamWW' .*\bAdamW\b"):
        check_training(cfg)
    for known in ('SGD', 'mmpretrain.Lamb', torch.optim.AdamW):
        cfg.optim_wrapper.optimizer.type = known
        check_training(cfg)


def test_heads_and_annotations_are_both_looked_at(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.bbox_head.num_classes = 80
    (note,) = check_training(cfg)  # once, though train and val say it
    assert re.search(r'model\.bbox_head\.num_classes\b.*\b80\b', note)
    cfg.train_dataloader.dataset.metainfo = {'classes': ('cat', 'dog')}
    with pytest.raises(ValueError, match=r'cat, dog.*metainfo'):
        check_training(cfg)


def test_a_test_in_another_size_than_the_validation_is_told(tiny_config):
    cfg = Config.fromfile(tiny_config)
    assert notes_on_test_size(cfg) == []
    cfg.test_dataloader.dataset.pipeline[1].scale = (96, 128)
    (note,) = notes_on_test_size(cfg)
    assert re.search(r'64, 64.*96, 128', note)
    cfg.val_dataloader = None  # nothing to compare
    assert notes_on_test_size(cfg) == []
