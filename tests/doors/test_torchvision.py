"""torchvision's own detectors with our maps."""

import pytest
import torch
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.feature_extraction import create_feature_extractor
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


@pytest.mark.parametrize('make', [retinanet, pytest.param(faster_rcnn, marks=pytest.mark.slow)])
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


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        ({'out_indices': (3, 1)}, r'out_indices=\(3, 1\)'),  # the FPN would add them the wrong way
        ({'out_channels': 0}, 'out_channels=0'),
    ],
)
def test_what_a_pyramid_network_cannot_take_is_refused(options, named):
    width = {'out_channels': options.pop('out_channels')} if 'out_channels' in options else {}
    with pytest.raises(ValueError, match=named):
        WithFPN(TNT('ti', **options), **width)


def test_maps_of_equal_stride_are_taken():
    maps = WithFPN(TNT('ti', out_strides=(4, 8, 8, 8)), out_channels=8)(torch.rand(1, 3, 32, 48))
    assert [tuple(level.shape) for level in maps.values()] == [(1, 8, 8, 12)] + [(1, 8, 4, 6)] * 3


def test_torchvisions_feature_extraction_takes_the_backbone_whole():
    model = WithFPN(TNT('ti'), out_channels=8).eval()
    image = torch.rand(1, 3, 32, 48)
    leaves = {'leaf_modules': [TNT]}
    extractor = create_feature_extractor(model, ['backbone', 'fpn'], tracer_kwargs=leaves)
    with torch.no_grad():
        found, expected = extractor(image), model(image)
        torch.testing.assert_close(found['backbone'], model.backbone(image), rtol=0, atol=0)
    torch.testing.assert_close(dict(found['fpn']), dict(expected), rtol=0, atol=0)
