"""The network's input by value against MMDetection's pipeline and data preprocessor."""

import mmdet.datasets.transforms  # noqa: F401 (registers Resize)
import numpy as np
import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from tnt_backbone.exported.detector import _place
from tnt_backbone.exported.inputs import Input, stack, to_input
from tnt_backbone.exported.pipeline import portable

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


@pytest.mark.parametrize('size', [(90, 131), (131, 90), (64, 64), (20, 300)], ids=str)
@pytest.mark.parametrize(
    'step',
    [
        {'type': 'Resize', 'scale': (133, 80), 'keep_ratio': True},
        {'type': 'Resize', 'scale': (100, 70)},
        {'type': 'Resize', 'scale_factor': 1.0, 'keep_ratio': True},
    ],
    ids=str,
)
def test_inputs_equal_mmdets(size, step):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with DefaultScope.overwrite_default_scope('mmdet'):
        results = TRANSFORMS.build(step)({'img': image.copy(), 'img_shape': size})
        before = DetDataPreprocessor(
            MEAN, STD, pad_size_divisor=32, pad_value=7, bgr_to_rgb=True, non_blocking=False
        )
    pixels = torch.from_numpy(results['img'].transpose(2, 0, 1).copy())
    expected = before({'inputs': [pixels], 'data_samples': None})['inputs'][0]

    about = {'pipeline': portable([step]), 'bgr_to_rgb': True, 'mean': MEAN, 'std': STD}
    found = to_input(image, {**about, 'size_divisor': 32, 'pad_val': 7})
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-6, atol=1e-6)
    assert found.shape == results['img_shape'] == results['img'].shape[:2]
    assert found.own_shape == size
    assert _place(found).scale == results['scale_factor']


def test_squares_are_the_same_memory():
    images = [np.random.default_rng(i).normal(size=(3, 64, 96)) for i in range(2)]
    inputs = [Input(values, (60, 90), (60, 90)) for values in images]
    found = stack(inputs, {'square': 32})
    assert found.shape == (2, 3, 2, 32, 3, 32)
    np.testing.assert_array_equal(found.reshape(2, 3, 64, 96), np.stack(images))
    np.testing.assert_array_equal(stack(inputs, {'square': None}), np.stack(images))
