"""``backbone=dict(_delete_=True, type=...)`` in stock configs: loss, backward, predict."""

from pathlib import Path

import mmdet
import mmpretrain
import mmseg
import pytest
import swapping
import torch
from mmengine.config import Config
from swapping import detection_batch, images, segmentation_batch

from tnt_backbone.registry import BACKBONES

MMDET, MMSEG, MMPRETRAIN = (
    Path(package.__file__).parent / '.mim/configs' for package in (mmdet, mmseg, mmpretrain)
)
CASES = {
    MMDET / 'retinanet/retinanet_r50_fpn_1x_coco.py': '',
    MMDET / 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': '',
    MMDET / 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': '',
    # out_indices are the stock config's own
    MMDET / 'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': 'out_indices=(1, 2, 3)',
    MMSEG / 'upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py': '',
    MMSEG / 'dmnet/dmnet_r50-d8_4xb2-40k_cityscapes-512x1024.py': '',
    # its heads read two levels of equal size
    MMSEG / 'ocrnet/ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024.py': 'out_strides=(4, 8, 8, 8)',
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(stock, more, tmp_path, name='TNT'):
    config = tmp_path / 'config.py'
    config.write_text(
        f"_base_ = ['{stock}']\n"
        "custom_imports = dict(imports=['tnt_backbone'], allow_failed_imports=False)\n"
        f"model = dict(backbone=dict(_delete_=True, type='{name}'{', ' if more else ''}{more}))\n"
    )
    cfg = Config.fromfile(config)
    return swapping.build(cfg), cfg.default_scope


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('stock', CASES, ids=lambda path: path.stem)
def test_swap(stock, backbone, tmp_path):
    model, scope = build(stock, CASES[stock], tmp_path, backbone.__name__)
    assert type(model.backbone) is backbone
    inputs = images()
    samples = detection_batch() if scope == 'mmdet' else segmentation_batch()

    model.train()
    data = model.data_preprocessor({'inputs': inputs, 'data_samples': samples}, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(loss)
    loss.backward()
    unreached = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unreached, 'DistributedDataParallel would stop'
    first = next(model.backbone.parameters())
    assert first.grad.abs().max() > 0, 'the loss must reach the first layer'

    model.eval()
    data = model.data_preprocessor({'inputs': inputs, 'data_samples': samples}, training=False)
    with torch.no_grad():
        results = model(**data, mode='predict')
    assert len(results) == 2
    if scope == 'mmdet':
        assert all(torch.isfinite(result.pred_instances.scores).all() for result in results)
    else:
        assert all(result.pred_sem_seg.data.shape == (1, 96, 128) for result in results)


def test_classifier_of_mmpretrain(tmp_path):
    """Its own TNT-S config with our TNT, under the full name since its own has the bare one."""
    stock = MMPRETRAIN / 'tnt/tnt-s-p16_16xb64_in1k.py'
    model, _ = build(stock, "arch='s', out_type='cls_token'", tmp_path, name='tnt_backbone.TNT')
    assert type(model.backbone).__module__ == 'tnt_backbone.backbones.tnt'
    inputs = torch.randn(2, 3, 96, 64)
    samples = [mmpretrain.structures.DataSample().set_gt_label(label) for label in (3, 999)]
    model(inputs, samples, mode='loss')['loss'].backward()
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    with torch.no_grad():
        predictions = model(inputs, samples, mode='predict')
    assert [prediction.pred_score.shape for prediction in predictions] == [(1000,), (1000,)]
