"""Anchors, decoding and suppression by value against MMDetection's and mmcv's."""

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms
from mmdet.models.task_modules import AnchorGenerator, DeltaXYWHBBoxCoder

from tnt_backbone.exported.boxes import decode, grid_anchors, suppress


def make_boxes(number, seed=0, size=200.0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, size, (number, 2))
    sides = rng.uniform(0, size / 2, (number, 2))
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def test_anchors_equal_mmdets():
    generator = AnchorGenerator(
        octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0], strides=[(8, 4), (16, 16)]
    )
    expected = generator.grid_priors([(3, 5), (2, 3)], device='cpu')
    for level, (rows, columns) in enumerate([(3, 5), (2, 3)]):
        base, stride = generator.base_anchors[level].tolist(), generator.strides[level]
        found = grid_anchors(base, stride, rows, columns)
        np.testing.assert_array_equal(found, expected[level].numpy())


@pytest.mark.parametrize('clip_border', [True, False])
def test_decoding_equals_mmdets(clip_border):
    coder = {'means': (0.1, 0.0, 0.0, 0.2), 'stds': (0.1, 0.1, 0.2, 0.3)}
    deltas = np.random.default_rng(1).normal(0, 20, (500, 4)).astype(np.float32)
    theirs = DeltaXYWHBBoxCoder(coder['means'], coder['stds'], clip_border=clip_border)
    expected = theirs.decode(*map(torch.from_numpy, (make_boxes(500), deltas)), max_shape=(90, 150))
    found = decode(make_boxes(500), deltas, {**coder, 'clip_border': clip_border}, (90, 150))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('number', [1, 700, 1200])  # from 1000 on, class by class
def test_suppression_equals_mmcvs(number, class_agnostic):
    boxes = make_boxes(number)
    rng = np.random.default_rng(2)
    scores = rng.permutation(np.linspace(0.1, 0.9, number)).astype(np.float32)
    labels = rng.integers(0, 5, number)
    nms = {'iou_threshold': 0.5, 'class_agnostic': class_agnostic, 'split_thr': 1000}
    given = map(torch.from_numpy, (boxes, scores, labels))
    _, expected = batched_nms(*given, {'type': 'nms', **nms})
    np.testing.assert_array_equal(suppress(boxes, scores, labels, nms, 0), expected.numpy())
    np.testing.assert_array_equal(suppress(boxes, scores, labels, nms, 7), expected.numpy()[:7])


def test_no_box_is_kept_of_none():
    boxes, scores, labels = make_boxes(0), np.zeros(0, np.float32), np.zeros(0, np.int64)
    assert len(suppress(boxes, scores, labels, {'iou_threshold': 0.5}, 7)) == 0


def test_boxes_without_area_are_kept_as_by_mmcv():
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 9, 9]], np.float32)
    scores, labels = np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64)
    given = map(torch.from_numpy, (boxes, scores, labels))
    _, expected = batched_nms(*given, {'type': 'nms', 'iou_threshold': 0.5})
    found = suppress(boxes, scores, labels, {'iou_threshold': 0.5}, 0)
    np.testing.assert_array_equal(found, expected.numpy())
