"""Annotations of scenes against the scenes themselves."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from tnt_backbone.demo.coco import annotation, semantic_mask
from tnt_backbone.demo.dataset import make_scene


@pytest.mark.parametrize('size', [(128, 128), (97, 160)])
def test_masks_boxes_and_semantic_mask_of_scenes_agree(size):
    holes = 0
    for number in range(20):
        scene = make_scene('val', number, size=size, seed=0)
        classes = np.zeros(size, np.uint8)
        for instance in scene.instances:
            made = annotation(instance, annotation_id=1, image_id=number)
            made = json.loads(json.dumps(made))  # as it lies in the file
            mask = coco_mask.decode(made['segmentation']).astype(bool)
            np.testing.assert_array_equal(mask, instance.mask)
            rows, columns = np.nonzero(instance.mask)
            x, y, width, height = made['bbox']
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
            assert made['area'] == instance.mask.sum()
            assert made['category_id'] == instance.digit.label + 1
            classes[mask] = instance.digit.label + 1
            holes += instance.digit.label in (0, 6, 8, 9)
        np.testing.assert_array_equal(semantic_mask(scene.instances, size), classes)
    assert holes > 5


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)).filter(np.any))
def test_any_mask_survives_the_file(mask):
    instance = SimpleNamespace(mask=mask, digit=SimpleNamespace(label=3, index=0))
    made = json.loads(json.dumps(annotation(instance, annotation_id=1, image_id=0)))
    np.testing.assert_array_equal(coco_mask.decode(made['segmentation']), mask)
    rows, columns = np.nonzero(mask)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert made['bbox'] == [left, top, right - left, bottom - top]
    assert made['area'] == mask.sum()
