"""torchvision's own detectors with our maps."""

import pytest
import torch
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from tnt_backbone import TNT, PyramidTNT
from tnt_backbone.doors.torchvision import WithFPN

SIZES = dict(min_size=64, max_size=96, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def retinanet():
    backbone = TNT('ti', out_indices=(1, 2, 3))
    with_fpn = WithFPN(backbone, out_channels=32, extra_blocks=LastLevelP6P7(32, 32))
    anchors = AnchorGenerator(tuple((8 * 2**i,) for i in range(5)), ((0.5, 1.0, 2.0),) * 5)
    return RetinaNet(with_fpn, 3, anchor_generator=anchors, **SIZES)


def faster_rcnn():
    with_fpn = WithFPN(PyramidTNT('ti'), out_channels=32, extra_blocks=LastLevelMaxPool())
    anchors = AnchorGenerator(tuple((8 * 2**i,) for i in range(5)), ((0.5, 1.0, 2.0),) * 5)
    pool = MultiScaleRoIAlign(['0', '1', '2', '3'], output_size=7, sampling_ratio=2)
    few = {
        f'rpn_{when}_nms_top_n_{mode}': 50 for when in ('pre', 'post') for mode in ('train', 'test')
    }
    return FasterRCNN(
        with_fpn,
        3,
        rpn_anchor_generator=anchors,
        box_roi_pool=pool,
        box_batch_size_per_image=16,
        **few,
        **SIZES,
    )


@pytest.mark.parametrize('make', [retinanet, faster_rcnn])
def test_a_detector_learns_and_predicts(make):
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    images = [torch.rand(3, 64, 96), torch.rand(3, 80, 64)]
    boxes = torch.tensor([[16.0, 16.0, 48.0, 56.0]])
    targets = [{'boxes': boxes, 'labels': torch.tensor([label])} for label in (1, 2)]
    losses = []
    for _ in range(8):
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in model.backbone.backbone.parameters())
    with torch.no_grad():
        found = model.eval()(images)
    assert [set(entry) for entry in found] == [{'boxes', 'labels', 'scores'}] * 2


def test_a_backbone_without_maps_is_refused():
    with pytest.raises(ValueError, match='out_type'):
        WithFPN(TNT('ti', out_type='cls_token'))
