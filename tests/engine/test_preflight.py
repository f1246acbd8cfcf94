"""Mistakes of the user end a run with one message."""

import pytest
from mmengine.config import Config

from tnt_backbone.engine import preflight
from tnt_backbone.engine.preflight import check_testing, check_training, errors_of_the_user


def test_a_mistake_is_one_message_and_status_2(capsys):
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py', launcher='none'):
        raise FileNotFoundError('no such thing')
    assert exit_.value.code == 2
    assert capsys.readouterr().err == 'tools/train.py: error: no such thing\n'


def test_other_processes_wait_silently(monkeypatch, capsys):
    waits = []
    monkeypatch.setattr(preflight.time, 'sleep', waits.append)
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit), errors_of_the_user('tools/train.py', launcher='pytorch'):
        raise ValueError('the same')
    assert waits == [60]
    assert capsys.readouterr().err == ''


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), errors_of_the_user('tools/train.py', launcher='none'):
        raise KeyError('a bug')


def test_a_good_config_passes_and_bad_weights_do_not(tiny_config, tmp_path):
    cfg = Config.fromfile(tiny_config)
    assert check_training(cfg) == []
    cfg.model.backbone.init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'no.pth')}
    with pytest.raises(FileNotFoundError, match='--from-scratch'):
        check_training(cfg)
    cfg.load_from = str(tmp_path / 'epoch_1.pth')
    with pytest.raises(FileNotFoundError, match=r'epoch_1\.pth'):
        check_testing(cfg)


def test_heads_and_annotations_are_both_looked_at(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.bbox_head.num_classes = 80
    (note,) = check_training(cfg)  # once, though train and val say it
    assert 'num_classes is 80' in note
    cfg.train_dataloader.dataset.metainfo = {'classes': ('cat', 'dog')}
    with pytest.raises(ValueError, match='no category cat, dog'):
        check_training(cfg)
