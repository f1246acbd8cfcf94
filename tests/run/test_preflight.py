"""Mistakes of the user end a run with one message."""

import pytest
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from tnt_backbone.run import preflight
from tnt_backbone.run.preflight import check_testing, check_training, errors_of_the_user


def test_a_mistake_is_one_message_and_status_2(capsys):
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py', launcher='none'):
        raise FileNotFoundError('no such thing')
    assert exit_.value.code == 2
    assert capsys.readouterr().err == 'tools/train.py: error: no such thing\n'


def test_other_processes_let_the_first_speak_before_them(monkeypatch, capsys):
    said = []
    monkeypatch.setattr(
        preflight.time, 'sleep', lambda seconds: said.append((seconds, capsys.readouterr().err))
    )
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit), errors_of_the_user('tools/train.py', launcher='pytorch'):
        raise ValueError('alone')
    assert said == [(preflight.OTHERS_WAIT, '')]
    assert capsys.readouterr().err == 'tools/train.py: error in process 1: alone\n'


def test_a_module_that_cannot_be_imported_says_why(tmp_path, monkeypatch, capsys):
    (tmp_path / 'my_hooks.py').write_text('import nowhere_to_be_found')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit), errors_of_the_user('tools/train.py', launcher='none'):
        import_modules_from_strings(['my_hooks'])
    message = capsys.readouterr().err
    assert 'error: Failed to import my_hooks\n' in message
    assert 'my_hooks.py", line 1' in message
    assert "No module named 'nowhere_to_be_found'" in message


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), errors_of_the_user('tools/train.py', launcher='none'):
        raise KeyError('a bug')


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


def test_heads_and_annotations_are_both_looked_at(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.bbox_head.num_classes = 80
    (note,) = check_training(cfg)  # once, though train and val say it
    assert 'num_classes is 80' in note
    cfg.train_dataloader.dataset.metainfo = {'classes': ('cat', 'dog')}
    with pytest.raises(ValueError, match='no category cat, dog'):
        check_training(cfg)
