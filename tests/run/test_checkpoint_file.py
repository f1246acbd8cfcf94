"""Which checkpoint a run goes on from, and whether it is fit for that."""

import pytest
import torch
from mmengine.config import Config

from tnt_backbone.checkpoints import published
from tnt_backbone.run.checkpoint_file import check_checkpoint, fetch_checkpoint, set_resume


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


def test_resume_takes_the_last_checkpoint_or_starts_anew(tmp_path, checkpoint):
    cfg = Config({'work_dir': str(tmp_path), 'load_from': 'coco.pth', 'resume': False})
    assert set_resume(cfg, None) == []
    assert (cfg.resume, cfg.load_from) == (False, 'coco.pth')

    (note,) = set_resume(cfg, 'auto')
    assert str(tmp_path) in note
    assert (cfg.resume, cfg.load_from) == (False, 'coco.pth')

    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    assert set_resume(cfg, 'auto') == []
    assert (cfg.resume, cfg.load_from) == (True, str(checkpoint))

    assert set_resume(cfg, 'other.pth') == []
    assert (cfg.resume, cfg.load_from) == (True, 'other.pth')


def test_resume_says_when_the_last_checkpoint_is_gone(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_3.pth')
    cfg = Config({'work_dir': str(tmp_path), 'resume': True})  # the config's own way of auto
    with pytest.raises(FileNotFoundError, match=r'/gone/epoch_3\.pth.*--resume PATH'):
        set_resume(cfg, None)


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
