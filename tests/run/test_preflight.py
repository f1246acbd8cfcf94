"""Mistakes are found before a run starts."""

import pytest
from mmengine.config import Config

from tnt_backbone.run.preflight import check_testing, check_training


def test_a_good_config_passes_and_bad_weights_do_not(tiny_config, tmp_path):
    cfg = Config.fromfile(tiny_config)
    assert check_training(cfg) == []
    cfg.model.backbone.frozen_stages = 1
    (note,) = check_training(cfg)
    assert 'model.backbone.frozen_stages=1 keeps random numbers' in note
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
        with pytest.raises(ValueError, match=r'model\.backbone of the config: .*frozen_stages=99'):
            check(cfg)


def test_heads_and_annotations_are_both_looked_at(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.bbox_head.num_classes = 80
    (note,) = check_training(cfg)  # once, though train and val say it
    assert 'num_classes is 80' in note
    cfg.train_dataloader.dataset.metainfo = {'classes': ('cat', 'dog')}
    with pytest.raises(ValueError, match='no category cat, dog'):
        check_training(cfg)
