"""The backgrounds."""

import numpy as np
import pytest

from tnt_backbone.demo.textures import SPREAD, TEXTURES, background


@pytest.mark.parametrize('texture', TEXTURES, ids=lambda texture: texture.__name__)
@pytest.mark.parametrize('size', [(32, 32), (33, 70), (1, 1)])
def test_texture_fills_any_size_with_values_from_0_to_1(texture, size):
    for seed in range(5):
        pattern = texture(np.random.default_rng(seed), *size)
        assert pattern.shape == size
        assert pattern.dtype == np.float32
        assert pattern.min() >= 0
        assert pattern.max() <= 1 + 1e-5


@pytest.mark.parametrize('texture', TEXTURES, ids=lambda texture: texture.__name__)
def test_texture_is_neither_flat_nor_always_the_same(texture):
    patterns = [texture(np.random.default_rng(seed), 48, 64) for seed in range(5)]
    assert all(pattern.std() > 0.02 for pattern in patterns)
    assert not any(np.array_equal(patterns[0], other) for other in patterns[1:])


def test_background_leaves_room_for_digits_to_stand_out():
    pictures = [background(np.random.default_rng(seed), 48, 64) for seed in range(20)]
    assert all(picture.shape == (48, 64, 3) for picture in pictures)
    assert all(picture.min() >= 0 and picture.max() <= 255 for picture in pictures)
    assert all(np.ptp(picture, axis=(0, 1)).max() <= 2 * SPREAD + 1 for picture in pictures)
