"""Each step by value against mmcv's and MMPretrain's own transforms."""

import mmpretrain.datasets.transforms  # noqa: F401 (registers ResizeEdge)
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS

from tnt_backbone.exported.pipeline import portable, prepare

STEPS = [
    {'type': 'Resize', 'scale': (133, 80), 'keep_ratio': True},
    {'type': 'Resize', 'scale': (48, 64)},
    {'type': 'Resize', 'scale': 32, 'backend': 'pillow', 'interpolation': 'bicubic'},
    {'type': 'Resize', 'scale_factor': 1.0, 'keep_ratio': True},
    {'type': 'Resize', 'scale_factor': 0.7, 'keep_ratio': True},
    {'type': 'Resize', 'scale_factor': (0.7, 1.3)},
    {'type': 'ResizeEdge', 'scale': 40, 'edge': 'short', 'backend': 'pillow'},
    {'type': 'ResizeEdge', 'scale': 40, 'edge': 'long', 'interpolation': 'bicubic'},
    {'type': 'ResizeEdge', 'scale': 41, 'edge': 'width'},
    {'type': 'CenterCrop', 'crop_size': 32},
    {'type': 'CenterCrop', 'crop_size': (31, 20)},
    {'type': 'CenterCrop', 'crop_size': 90},
]


@pytest.mark.parametrize('step', STEPS, ids=str)
@pytest.mark.parametrize('size', [(51, 77), (90, 45), (64, 64)], ids=str)
def test_steps_equal_those_of_the_libraries(step, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        transform = TRANSFORMS.build(step)
        expected = transform({'img': image.copy(), 'img_shape': size})['img']
    np.testing.assert_array_equal(prepare(image, portable([step])), expected)


@pytest.mark.parametrize(
    ('step', 'named'),
    [
        ({'type': 'RandomFlip', 'prob': 1.0}, 'RandomFlip'),
        ({'type': 'CenterCrop', 'crop_size': 8, 'auto_pad': True}, 'auto_pad'),
        ({'type': 'LoadImageFromFile', 'color_type': 'grayscale'}, 'color_type'),
        ({'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'}, 'imdecode_backend'),
        ({'type': 'Resize', 'scale': 8, 'interpolation': 'hamming'}, 'hamming'),
        ({'type': 'Resize', 'scale': 8, 'backend': 'turbo'}, 'turbo'),
    ],
)
def test_what_is_not_known_is_refused(step, named):
    with pytest.raises(ValueError, match=named):
        portable([step])
