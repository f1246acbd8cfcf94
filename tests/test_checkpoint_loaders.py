"""Files of others where mmengine loads a whole model."""

from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import CheckpointLoader, load_checkpoint

from tnt_backbone import TNT
from tnt_backbone.run.checkpoint_file import choose_loader
from tnt_backbone.run.libraries import use_tta

ARCH = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}
BACKBONE = {'type': 'tnt_backbone.TNT', 'arch': ARCH, 'img_size': 32, 'out_type': 'cls_token'}


@pytest.fixture
def theirs():
    torch.manual_seed(0)
    return timm.create_model(
        'tnt_s_patch16_224',
        embed_dim=24,
        inner_dim=8,
        depth=2,
        num_heads_outer=2,
        num_classes=5,
        img_size=32,
    ).eval()


def test_a_classifier_takes_timms_file_with_its_head(tmp_path, theirs):
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    init_default_scope('mmpretrain')
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=BACKBONE,
            head=dict(type='LinearClsHead', num_classes=5, in_channels=24),
        )
    ).eval()
    load_checkpoint(model, f'tnt://{tmp_path}/timm.pth', strict=True)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(image), theirs(image))


@pytest.mark.parametrize(
    ('backbone', 'foreign', 'prefixed'),
    [
        ('tnt_backbone.TNT', True, True),
        (TNT, True, True),
        ('TNT', True, False),  # mmpretrain's own
        ('tnt_backbone.TNT', False, False),
        ('ResNet', True, False),
    ],
)
@pytest.mark.parametrize('tta', [False, True])
def test_load_from_is_converted_where_the_backbone_is_ours(
    tmp_path, theirs, backbone, foreign, prefixed, tta
):
    path = tmp_path / 'weights.pth'
    ours = {f'backbone.{key}': value for key, value in MODELS.build(BACKBONE).state_dict().items()}
    torch.save(theirs.state_dict() if foreign else ours, path)
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=dict(backbone=dict(type=backbone)),
            load_from=str(path),
            resume=False,
        )
    )
    if tta:
        cfg.tta_model, cfg.tta_pipeline = dict(type='AverageClsScoreTTA'), []
        cfg.test_dataloader = dict(dataset=dict())
        use_tta(cfg)
    choose_loader(cfg)
    assert cfg.load_from == ('tnt://' if prefixed else '') + str(path)


def test_a_local_file_is_mapped_and_never_written(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {'weight': torch.zeros(4)}}, path)
    weight = CheckpointLoader.load_checkpoint(str(path), 'cpu')['state_dict']['weight']
    assert str(path) in Path('/proc/self/maps').read_text()
    weight += 1
    again = CheckpointLoader.load_checkpoint(str(path), 'cpu')['state_dict']['weight']
    assert again.tolist() == [0, 0, 0, 0]

    torch.save({'weight': torch.ones(4)}, path, _use_new_zipfile_serialization=False)
    content = CheckpointLoader.load_checkpoint(str(path), 'cpu')  # this format cannot be mapped
    assert content['weight'].tolist() == [1, 1, 1, 1]
