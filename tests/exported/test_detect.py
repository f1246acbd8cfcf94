"""From maps to objects by value against MMDetection's heads, on random maps."""

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from tests.exported.test_boxes import make_boxes
from tnt_backbone.exported.detect import (
    Place,
    dense_objects,
    levels_of,
    propose,
    query_objects,
    region_objects,
)
from tnt_backbone.exported.detector_networks import _coder, _dense_settings

PLACE = Place((90, 150), (0.5, 0.625))  # of a picture of 144 x 300
META = {'img_shape': PLACE.shape, 'ori_shape': (144, 300), 'scale_factor': PLACE.scale}
SIZES = [(12, 19), (6, 10)]  # cells of the levels
NMS = {'type': 'nms', 'iou_threshold': 0.5}
ANCHORS = {'type': 'AnchorGenerator', 'ratios': [0.5, 1.0, 2.0], 'strides': [8, 16], 'scales': [3]}


def build(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg).eval()


def make_maps(channels, seed):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(1, channels, *size, generator=rng) for size in SIZES]


def arrays(maps):
    return [level[0].numpy() for level in maps]


@pytest.mark.parametrize(
    ('kind', 'changed'),
    [
        ('RetinaHead', {}),
        ('RetinaHead', {'nms_pre': 20, 'max_per_img': 5}),
        ('RetinaHead', {'score_thr': 0.999}),  # no object
        ('RetinaHead', {'min_bbox_size': 30}),
        ('ATSSHead', {}),
    ],
)
def test_one_stage_objects_equal_mmdets(kind, changed):
    cfg = ConfigDict(nms_pre=200, min_bbox_size=0, score_thr=0.6, nms=NMS, max_per_img=50)
    cfg.update(changed)
    extra = {'octave_base_scale': 3, 'scales_per_octave': 1, 'scales': None}
    anchors = {**ANCHORS, **(extra if kind == 'RetinaHead' else {})}
    head = build(
        {'type': kind, 'num_classes': 4, 'in_channels': 8, 'feat_channels': 32,
         'anchor_generator': anchors, 'test_cfg': cfg}
    )  # fmt: skip
    number = head.num_base_priors
    logits, deltas = make_maps(number * 4, 0), make_maps(number * 4, 1)
    factors = make_maps(number, 2) if kind == 'ATSSHead' else None
    (expected,) = head.predict_by_feat(
        logits, deltas, score_factors=factors, batch_img_metas=[META], rescale=True
    )
    found = dense_objects(
        arrays([level.sigmoid() for level in logits]),
        arrays(deltas),
        arrays([level.sigmoid() for level in factors or []]),
        {**_dense_settings(head, cfg), 'num_classes': 4, 'score_thr': cfg.score_thr},
        PLACE,
    )
    assert len(expected.scores) > 3 or changed
    np.testing.assert_array_equal(found.labels, expected.labels.numpy())
    np.testing.assert_allclose(found.scores, expected.scores.numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.bboxes.numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('nms_pre', [1000, 40])
def test_regions_equal_mmdets(nms_pre):
    cfg = ConfigDict(nms_pre=nms_pre, max_per_img=60, nms={**NMS, 'iou_threshold': 0.7})
    cfg.min_bbox_size = 0
    head = build(
        {'type': 'RPNHead', 'in_channels': 8, 'feat_channels': 32, 'anchor_generator': ANCHORS,
         'test_cfg': cfg}
    )  # fmt: skip
    logits, deltas = make_maps(3, 0), make_maps(12, 1)
    (expected,) = head.predict_by_feat(logits, deltas, batch_img_metas=[META], rescale=False)
    scores = arrays([level.sigmoid() for level in logits])
    found = propose(scores, arrays(deltas), _dense_settings(head, cfg), PLACE)
    assert len(found) > 30
    np.testing.assert_allclose(found, expected.bboxes.numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('to_picture', [True, False])
@pytest.mark.parametrize('class_agnostic', [True, False])
def test_objects_of_regions_equal_mmdets(to_picture, class_agnostic):
    cfg = ConfigDict(score_thr=0.2, nms=NMS, max_per_img=40)
    head = build(
        {'type': 'Shared2FCBBoxHead', 'in_channels': 8, 'fc_out_channels': 8, 'num_classes': 4,
         'reg_class_agnostic': class_agnostic}
    )  # fmt: skip
    rng = torch.Generator().manual_seed(0)
    regions = make_boxes(200, size=100.0)
    logits = torch.randn(200, 5, generator=rng)
    deltas = torch.randn(200, 4 if class_agnostic else 16, generator=rng)
    rois = torch.cat([torch.zeros(200, 1), torch.from_numpy(regions)], dim=1)
    (expected,) = head.predict_by_feat(
        (rois,), (logits,), (deltas,), [META], rcnn_test_cfg=cfg, rescale=to_picture
    )
    settings = {'coder': _coder(head.bbox_coder), 'score_thr': 0.2, 'nms': NMS, 'max_per_img': 40}
    scores = logits.softmax(-1).numpy()
    found = region_objects(regions, scores, deltas.numpy(), settings, PLACE, to_picture=to_picture)
    assert isinstance(expected, InstanceData)
    assert len(expected.scores) > 10
    np.testing.assert_array_equal(found.labels, expected.labels.numpy())
    np.testing.assert_allclose(found.scores, expected.scores.numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.boxes, expected.bboxes.numpy(), rtol=1e-5, atol=1e-4)


def test_levels_equal_mmdets():
    extractor = build(
        {'type': 'SingleRoIExtractor', 'roi_layer': {'type': 'RoIAlign', 'output_size': 7},
         'out_channels': 8, 'featmap_strides': [4, 8, 16, 32]}
    )  # fmt: skip
    boxes = np.concatenate(
        [make_boxes(500, size=1500.0), [[0, 0, 112, 112], [0, 0, 224, 224], [5, 5, 5, 9]]]
    ).astype(np.float32)
    rois = torch.cat([torch.zeros(len(boxes), 1), torch.from_numpy(boxes)], dim=1)
    expected = extractor.map_roi_levels(rois, 4).numpy()
    assert set(expected) == {0, 1, 2, 3}
    np.testing.assert_array_equal(levels_of(boxes, 56, 4), expected)


@pytest.mark.parametrize('most', [7, 40])
def test_objects_of_queries_equal_mmdets(most):
    loss = {'type': 'CrossEntropyLoss', 'class_weight': 1.0}  # mmdet changes its default
    head = build({'type': 'DETRHead', 'num_classes': 4, 'embed_dims': 8, 'loss_cls': loss})
    head.test_cfg = ConfigDict(max_per_img=most)
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 5, generator=rng)
    boxes = torch.rand(40, 4, generator=rng)  # many of them reach over the edge
    expected = head._predict_by_feat_single(logits, boxes, META)
    scores = logits.softmax(dim=-1)[..., :-1].numpy()
    found = query_objects(scores, boxes.numpy(), {'max_per_img': most}, PLACE)
    assert len(found.scores) == most
    np.testing.assert_array_equal(found.labels, expected.labels.numpy())
    np.testing.assert_allclose(found.scores, expected.scores.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.boxes, expected.bboxes.numpy(), atol=1e-4)
