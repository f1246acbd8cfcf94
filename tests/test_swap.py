"""``backbone=dict(_delete_=True, type=...)`` in stock configs: loss, backward, predict."""

from pathlib import Path

import mmdet
import mmpretrain
import mmseg
import pytest
import swapping
import torch
from mmengine.config import Config

from tnt_backbone.backbones import BACKBONES, TNT

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
    prepared = swapping.prepare(cfg)
    return swapping.build(prepared, cfg.default_scope), prepared


# The other families take turns in the test of kinds below.
FOR_ALL_FAMILIES = ('retinanet', 'mask_rcnn', 'deformable_detr', 'upernet')
# The head of one stage, the one that reads another number of levels, and a segmentor.
QUICK = ('retinanet', 'deformable_detr', 'upernet')


@pytest.mark.parametrize(
    ('stock', 'backbone'),
    [
        pytest.param(
            stock,
            backbone,
            id=f'{stock.stem}-{backbone.__name__}',
            marks=[] if backbone is TNT and stock.parent.name in QUICK else pytest.mark.slow,
        )
        for stock in CASES
        for backbone in BACKBONES
        if backbone is TNT or stock.parent.name in FOR_ALL_FAMILIES
    ],
)
def test_swap(stock, backbone, tmp_path):
    model, cfg = build(stock, CASES[stock], tmp_path, backbone.__name__)
    assert type(model.backbone) is backbone
    (result,) = swapping.train_and_predict(model, cfg)

    unreached = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unreached, 'DistributedDataParallel would stop'
    first = next(model.backbone.parameters())
    assert first.grad.abs().max() > 0, 'the loss must reach the first layer'
    if stock.is_relative_to(MMDET):
        assert torch.isfinite(result.pred_instances.scores).all()
    else:
        assert result.pred_sem_seg.data.shape == (1, 96, 128)


# One of each kind that the sweep over all stock configs meets, a backbone each.
KINDS = {
    MMDET / 'faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py': 'TNT',  # only level 2
    MMDET / 'fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py': 'PyramidTNT',  # proposals from a file
    MMDET / 'detr/detr_r18_8xb2-500e_coco.py': 'T2TViT',  # narrow, only level 3
    MMDET / 'lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py': 'TNT',  # a teacher
    MMDET / 'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py': 'PyramidTNT',
    MMDET / 'qdtrack/qdtrack_faster-rcnn_r50_fpn_4e_base.py': 'T2TViT',  # videos
    MMDET / 'reid/reid_r50_8xb32-6e_mot15train80_test-mot15val20.py': 'TNT',
    MMSEG / 'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py': 'PyramidTNT',
    MMSEG / 'fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024.py': 'T2TViT',
}


QUICK_KINDS = ('faster_rcnn', 'detr', 'lad')


@pytest.mark.parametrize(
    'stock',
    [
        pytest.param(
            stock,
            id=stock.stem,
            marks=[] if stock.parent.name in QUICK_KINDS else pytest.mark.slow,
        )
        for stock in KINDS
    ],
)
def test_kinds_of_models(stock):
    cfg = Config.fromfile(stock)
    model = swapping.swap(swapping.prepare(cfg), type=KINDS[stock])
    assert swapping.attempt(model, cfg.default_scope, (96, 128)) == 'ok'


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
