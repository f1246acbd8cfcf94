"""Position tables of equal numbers of rows and other grids."""

import io

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.checkpoints import load_pretrained
from tnt_backbone.layers import resize_position_table

OURS = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}
T2T = {'depth': 2, 'embed_dims': 24, 'num_heads': 2, 'token_dims': 16}
# (64, 256) and (128, 128) are as many patches of 16 pixels, and as many sentences of 8.
BACKBONES = {
    'TNT': lambda size: TNT(OURS, img_size=size),
    'PyramidTNT': lambda size: PyramidTNT('ti', img_size=size, out_indices=(0, 1)),
    'T2TViT': lambda size: T2TViT(T2T, img_size=size),
}
WIDE, SQUARE = (64, 256), (128, 128)


class Model(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def in_memory(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


# From one backbone into another, in the ways in which people do it.
def by_torch(source, target, path):
    target.load_state_dict(in_memory(source.state_dict()))


def by_load_pretrained(source, target, path):
    torch.save({'state_dict': Model(source).state_dict()}, path)
    load_pretrained(target, path)


def by_mmengine(source, target, path):
    save_checkpoint({'state_dict': get_state_dict(Model(source))}, str(path))
    load_checkpoint(Model(target), str(path), map_location='cpu', strict=True)


WAYS = (by_torch, by_load_pretrained, by_mmengine)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('family', BACKBONES)
@pytest.mark.parametrize(('file', 'own'), [(WIDE, SQUARE), (SQUARE, WIDE)])
def test_a_table_of_another_grid_is_resized(tmp_path, family, way, file, own):
    torch.manual_seed(0)
    source, target = BACKBONES[family](file).eval(), BACKBONES[family](own).eval()
    way(source, target, tmp_path / 'w.pth')
    table = getattr(source, source.POSITION_TABLE)
    expected = resize_position_table(table, source.grid, target.grid)
    torch.testing.assert_close(getattr(target, target.POSITION_TABLE), expected)
    # An image of the target's size sees the same table in both.
    image = torch.randn(1, 3, *own)
    with torch.no_grad():
        for first, second in zip(source(image), target(image), strict=True):
            torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('family', BACKBONES)
def test_an_odd_number_of_patches(tmp_path, family):
    """The class token's row is not counted into the grid."""
    source, target = BACKBONES[family](80), BACKBONES[family](112)
    by_torch(source, target, tmp_path)
    name = source.POSITION_TABLE
    expected = resize_position_table(getattr(source, name), source.grid, target.grid)
    torch.testing.assert_close(getattr(target, name), expected)


@pytest.mark.parametrize('family', BACKBONES)
def test_a_table_of_the_same_grid_is_kept(tmp_path, family):
    source, target = BACKBONES[family](WIDE), BACKBONES[family](WIDE)
    by_torch(source, target, tmp_path)
    name = source.POSITION_TABLE
    assert torch.equal(getattr(target, name), getattr(source, name))
    equal_grid = tuple(side for side in target.grid)
    assert target.fit_position_tables(source.state_dict(), '', equal_grid) == {}


def test_a_file_that_does_not_say_its_grid_is_reported(tmp_path, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        plain = dict(TNT(OURS, img_size=WIDE).state_dict())  # without torch's metadata
        TNT(OURS, img_size=SQUARE).load_state_dict(plain)
        assert 'sentence_pos' not in caplog.text  # square, as those of all authors
        target = TNT(OURS, img_size=WIDE)
        target.load_state_dict(plain)
        assert 'sentence_pos' in caplog.text
        assert '8x8' in caplog.text
        assert '4x16' in caplog.text
        assert torch.equal(target.sentence_pos, plain['sentence_pos'])
    finally:
        logger.removeHandler(caplog.handler)


def test_older_files_and_strict_loading_know_no_new_key():
    state = TNT(OURS, img_size=32).state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    TNT(OURS, img_size=32).load_state_dict(dict(state), strict=True)
