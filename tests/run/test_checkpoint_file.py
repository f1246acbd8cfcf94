"""Which checkpoint a run goes on from, and whether it is fit for that."""

import pytest
import torch
from mmengine.config import Config

from tests.conftest import ROOT
from tnt_backbone.checkpoints import published
from tnt_backbone.cli.common import require_checkpoint
from tnt_backbone.run.checkpoint_file import (
    check_checkpoint,
    config_of_checkpoint,
    fetch_checkpoint,
)


def test_damaged_files_say_what_they_are(tmp_path, checkpoint):
    page = tmp_path / 'page.pth'
    page.write_text('<!DOCTYPE html><html>404</html>')
    with pytest.raises(ValueError, match=r'page\.pth.*web page'):
        check_checkpoint(str(page))
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(ValueError, match=r'cut\.pth.*\b500\b'):
        check_checkpoint(str(cut))
    with pytest.raises(FileNotFoundError, match=r'epoch_2\.pth.*epoch_1\.pth'):
        check_checkpoint(str(tmp_path / 'epoch_2.pth'))


def test_only_weights_cannot_be_resumed_from(tmp_path, checkpoint):
    check_checkpoint(str(checkpoint), resume=True)
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'weight': torch.ones(1)}}, path)
    check_checkpoint(str(path))
    with pytest.raises(ValueError, match=r'weights\.pth.*meta, message_hub, optimizer.*load_from'):
        check_checkpoint(str(path), resume=True)


@pytest.mark.parametrize(
    ('load_from', 'resume', 'fetched'),
    [
        ('https://127.0.0.1:9/epoch_1.pth', False, True),
        ('https://127.0.0.1:9/epoch_1.pth', True, True),
        ('tnt://https://127.0.0.1:9/epoch_1.pth', True, True),
        ('tnt://https://127.0.0.1:9/epoch_1.pth', False, False),
        ('timm/tnt_s', False, True),
        ('torchvision://resnet50', False, False),
        (None, False, False),
    ],
)
def test_addresses_become_files_that_are_read_safely(
    monkeypatch, checkpoint, load_from, resume, fetched
):
    monkeypatch.setattr(published, '_fetch', lambda *_: str(checkpoint))
    cfg = Config({'load_from': load_from, 'resume': resume})
    fetch_checkpoint(cfg)
    assert cfg.load_from == (str(checkpoint) if fetched else load_from)


def test_a_test_is_logged_where_its_training_was(tmp_path, monkeypatch):
    """``epoch_1.pth`` of two runs must not share a folder."""
    monkeypatch.chdir(tmp_path)

    def work_dir_of(path, work_dir=None):
        options = {'test_evaluator.ann_file': 'mine.json'}
        rest = {'trust': (), 'options': options, 'launcher': 'none'}
        cfg = config_of_checkpoint(str(path), work_dir=work_dir, **rest)
        assert cfg.test_evaluator.ann_file == 'mine.json'
        return cfg.work_dir

    for name in ('runs/mine', 'downloads'):
        (tmp_path / name).mkdir(parents=True)
        meta = {'cfg': Config.fromfile(ROOT / 'configs/retinanet_tnt_digits.py').pretty_text}
        content = {'meta': meta, 'state_dict': {'weight': torch.ones(1)}}
        torch.save(content, tmp_path / name / 'epoch_1.pth')
    log = tmp_path / 'runs/mine/20260101_000000/vis_data'
    log.mkdir(parents=True)
    (log / 'config.py').touch()
    assert work_dir_of('runs/mine/epoch_1.pth') == 'runs/mine'
    assert work_dir_of('runs/mine/epoch_1.pth', 'other') == 'other'
    assert work_dir_of('downloads/epoch_1.pth') == 'work_dirs/epoch_1'


def test_a_checkpoint_that_is_not_there_lists_the_files_beside_it(tmp_path):
    (tmp_path / 'a.pth').touch()
    (tmp_path / 'folder.pth').mkdir()
    for check in (check_checkpoint, require_checkpoint):
        with pytest.raises(FileNotFoundError, match=r'a\.pth') as caught:
            check(str(tmp_path / 'b.pth'))
        assert 'folder.pth' not in str(caught.value)
        with pytest.raises(FileNotFoundError, match='none'):
            check(str(tmp_path / 'no folder/b.pth'))
