"""Scenes: what lies where, and how it stands out."""

import numpy as np
import pytest

from tnt_backbone.demo.digits import load_split
from tnt_backbone.demo.scenes import LUMA, MAX_HIDDEN, compose


def scene_of(count, *, seed, size=(96, 128), heights=(0.18, 0.45)):
    digits = list(load_split('train')[seed : seed + count])
    return compose(np.random.default_rng(seed), digits, size=size, heights=heights)


def test_a_scene_shows_its_digits_and_all_of_each_but_a_little():
    counts = []
    for seed in range(30):
        scene = scene_of(4, seed=seed)
        assert scene.image.shape == (96, 128, 3)
        assert scene.image.dtype == np.uint8
        counts.append(len(scene.instances))
        assert (
            np.sum([instance.mask for instance in scene.instances], axis=0).max() == 1
        )  # no pixel shows two
        # the same choices with fewer digits: how much of the first was there before others came
        alone = scene_of(1, seed=seed).instances[0]
        seen = scene.instances[0]
        assert seen.digit == alone.digit
        assert (seen.mask & ~alone.mask).sum() == 0
        assert seen.mask.sum() >= (1 - MAX_HIDDEN) ** 3 * alone.mask.sum()
    assert min(counts) >= 1
    assert np.mean(counts) > 3.5


def test_heights_are_spread_over_the_range_that_was_asked_for():
    rows = [
        np.flatnonzero(scene_of(1, seed=seed).instances[0].mask.any(axis=1)) for seed in range(60)
    ]
    heights = [row[-1] + 1 - row[0] for row in rows]
    assert 0.15 * 96 < min(heights) < 0.22 * 96
    assert 0.4 * 96 < max(heights) < 0.6 * 96  # turned, a digit is a little higher


def test_a_digit_that_has_no_room_is_left_out():
    scene = scene_of(12, seed=0, size=(32, 32), heights=(0.8, 0.8))
    assert 1 <= len(scene.instances) < 12


@pytest.mark.parametrize('seed', range(20))
def test_digits_stand_out_from_what_surrounds_them(seed):
    scene = scene_of(1, seed=seed)
    mask = scene.instances[0].mask
    rows, columns = np.nonzero(mask)
    around = np.zeros_like(mask)
    around[
        max(rows.min() - 2, 0) : rows.max() + 3, max(columns.min() - 2, 0) : columns.max() + 3
    ] = True
    brightness = scene.image @ LUMA
    assert abs(brightness[mask].mean() - brightness[around & ~mask].mean()) > 25
