"""Which checkpoint a run goes on from, and whether it is fit for that."""

import pytest
import torch
from mmengine.config import Config

from tnt_backbone.checkpoints import published
from tnt_backbone.run.checkpoint_file import check_checkpoint, fetch_checkpoint


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
