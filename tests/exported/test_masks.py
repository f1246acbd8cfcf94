"""Masks in the picture by value against MMDetection's mask head."""

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.config import ConfigDict

from tests.exported.test_boxes import make_boxes
from tnt_backbone.exported.masks import paste


def test_masks_equal_mmdets():
    rng = np.random.default_rng(0)
    boxes = make_boxes(40, size=60.0) - 10  # some reach out of the picture, on all sides
    boxes = np.concatenate([boxes, np.array([[20.2, 30, 20.9, 31], [0, 0, 70, 60]], np.float32)])
    logits = rng.normal(0, 3, (len(boxes), 3, 14, 14)).astype(np.float32)
    labels = rng.integers(0, 3, len(boxes))
    head = FCNMaskHead(num_convs=0, num_classes=3, in_channels=4, conv_out_channels=4)
    expected = head._predict_by_feat_single(
        torch.from_numpy(logits),
        torch.from_numpy(boxes.copy()),
        torch.from_numpy(labels),
        {'scale_factor': (1.0, 1.0), 'ori_shape': (60, 70)},
        ConfigDict(mask_thr_binary=0.5),
        rescale=True,
    ).numpy()
    masks = torch.from_numpy(logits).sigmoid().numpy()[np.arange(len(boxes)), labels]
    found = paste(masks, boxes, (60, 70), 0.5)
    assert found.dtype == bool
    assert expected.any(axis=(1, 2)).sum() > 30
    assert (found != expected).sum() <= 2  # of 176400, whose values are 0.5 in all known digits
