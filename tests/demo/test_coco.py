"""Annotations, judged by pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tnt_backbone.demo.coco import box, polygons, semantic_mask
from tnt_backbone.demo.dataset import make_scene


def rasterise(rings, size):
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, *size))).astype(bool)


def mask_of(*rows):
    return np.array([[pixel == '#' for pixel in row] for row in rows])


@pytest.mark.parametrize(
    'mask',
    [
        mask_of('#'),
        mask_of('.....', '.###.', '.....'),
        mask_of('####', '#..#', '#..#', '####'),
        mask_of('#####', '#.#.#', '#####', '#.#.#', '#####'),
        mask_of('##...', '##...', '..##.', '..##.', '.....'),
        mask_of('#....', '.....', '....#'),
        mask_of('#######', '#.....#', '#.###.#', '#.#.#.#', '#.###.#', '#.....#', '#######'),
    ],
)
def test_polygons_give_the_mask_again(mask):
    np.testing.assert_array_equal(rasterise(polygons(mask), mask.shape), mask)


@pytest.mark.parametrize('size', [(128, 128), (97, 160)])
def test_polygons_boxes_and_semantic_mask_of_scenes_agree(size):
    holes = 0
    for number in range(20):
        scene = make_scene('val', number, size=size, seed=0)
        classes = np.zeros(size, np.uint8)
        for instance in scene.instances:
            mask = rasterise(polygons(instance.mask), size)
            np.testing.assert_array_equal(mask, instance.mask)
            np.testing.assert_array_equal(
                box(instance.mask), coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask)))
            )
            classes[mask] = instance.digit.label + 1
            holes += instance.digit.label in (0, 6, 8, 9)
        np.testing.assert_array_equal(semantic_mask(scene.instances, size), classes)
    assert holes > 5
