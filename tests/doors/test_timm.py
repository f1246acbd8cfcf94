"""The backbones in timm, and in segmentation-models-pytorch through timm."""

import subprocess
import sys

import pytest
import timm
import torch

import tnt_backbone.doors.timm  # noqa: F401 (registers)
from tnt_backbone import TNT
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.checkpoints.load import load_pretrained

SMALLEST = {'TNT': 'tnt_ti', 'PyramidTNT': 'pyramid_tnt_ti', 'T2TViT': 't2t_vit_7'}


def test_every_variant_has_a_name():
    names = set(timm.list_models('tnt_backbone_*'))
    assert len(names) == sum(len(family.VARIANTS) for family in BACKBONES)
    assert {f'tnt_backbone_{name}' for name in SMALLEST.values()} <= names


@pytest.mark.parametrize('name', SMALLEST.values())
def test_features_only(name):
    model = timm.create_model(f'tnt_backbone_{name}', features_only=True, out_indices=(1, 3))
    assert model.feature_info.reduction() == [8, 32]
    maps = model.eval()(torch.randn(1, 3, 64, 96))
    assert [level.shape[1] for level in maps] == model.feature_info.channels()
    assert [tuple(level.shape[2:]) for level in maps] == [(8, 12), (2, 3)]
    for expected, level in zip(model.backbone(torch.zeros(1, 3, 64, 96)), maps, strict=True):
        assert expected.shape == level.shape


def test_scores_equal_those_of_timms_own_tnt(tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model('tnt_s_legacy_patch16_224', num_classes=7).eval()
    ours = timm.create_model('tnt_backbone_tnt_s', num_classes=7, formulation='legacy').eval()
    path = tmp_path / 'timm.pth'
    torch.save(theirs.state_dict(), path)
    load_pretrained(ours.backbone, path)
    ours.head.load_state_dict(theirs.head.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
        features = ours.forward_features(images)
        torch.testing.assert_close(ours.forward_head(features), ours(images))
    assert ours.num_features == features.shape[1] == 384


def test_timms_arguments():
    model = timm.create_model(
        'tnt_backbone_tnt_ti', num_classes=0, in_chans=1, img_size=64, drop_path_rate=0.1
    )
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 192)
    model.reset_classifier(5)
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 5)
    assert isinstance(model.backbone, TNT)
    with pytest.raises(ValueError, match='nonsense'):
        timm.create_model('tnt_backbone_tnt_ti', nonsense=1)
    with pytest.raises(ValueError, match='pretrained'):
        timm.create_model('tnt_backbone_tnt_ti', pretrained=True)  # never published


def test_segmentation_models_pytorch_trains_with_it():
    smp = pytest.importorskip('segmentation_models_pytorch', reason='an extra')
    model = smp.Unet('tu-tnt_backbone_tnt_ti', encoder_weights=None, classes=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.manual_seed(0)
    images, target = torch.randn(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.long)
    target[:, 16:48, 16:48] = 1
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_openmmlab_is_not_needed():
    script = """
import sys
for name in ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain'):
    sys.modules[name] = None
import timm, torch
import tnt_backbone.doors.timm, tnt_backbone.doors.torchvision
print(len(timm.create_model('tnt_backbone_tnt_ti', features_only=True)(torch.zeros(1, 3, 32, 32))))
"""
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == '4\n', done.stderr
