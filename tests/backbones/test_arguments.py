"""What the backbones accept, at the ends of each range."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.backbones.arguments import (
    check_blocks,
    check_rates,
    check_sizes,
    parse_img_size,
    spread_taps,
)


@pytest.mark.parametrize('rate', [0, 0.0, 0.999, np.float32(0.5)])
def test_rates_from_0_to_below_1(rate):
    check_rates(first=0.1, drop_rate=rate)


@pytest.mark.parametrize('rate', [1, 1.0, 1.5, -0.001, -1, '0.1', None, float('nan')])
def test_other_rates_are_named(rate):
    with pytest.raises(ValueError, match=rf'^drop_rate={rate!r} '):
        check_rates(first=0.1, drop_rate=rate)


@pytest.mark.parametrize('size', [1, 2, np.int64(7)])
def test_sizes_from_1(size):
    check_sizes(first=1, patch_size=size)


@pytest.mark.parametrize('size', [0, -1, -7, 1.0, True, '1', None])
def test_other_sizes_are_named(size):
    with pytest.raises(ValueError, match=rf'^patch_size={size!r} '):
        check_sizes(first=1, patch_size=size)


def test_sizes_of_images():
    assert parse_img_size(16, 16) == (16, 16)
    assert parse_img_size((16,), 16) == (16, 16)
    assert parse_img_size((16, 40), 16) == (16, 40)
    assert parse_img_size([np.int64(40), 16], 16) == (40, 16)
    for img_size in (15, (15, 16), (16, 15), -16, (15,), (), (16, 16, 3), 16.0, (16, 16.5), '16'):
        with pytest.raises(ValueError, match=r'^img_size='):
            parse_img_size(img_size, 16)


def test_numbers_of_blocks():
    assert check_blocks('inner_blocks', [0, 3], 4) == (0, 3)
    assert check_blocks('inner_blocks', range(4), 4) == (0, 1, 2, 3)
    assert check_blocks('inner_blocks', (), 4) == ()
    for blocks in ((4,), (0, -1), 3, None, 'x', (1.0,), (True,)):
        with pytest.raises(ValueError, match=r'^inner_blocks=.*\b3$'):
            check_blocks('inner_blocks', blocks, 4)


@given(depth=st.integers(1, 40))
def test_taps_are_spread_evenly(depth):
    expected = tuple(ceil(Fraction(depth * level, 4)) - 1 for level in (1, 2, 3, 4))
    assert spread_taps(None, depth) == expected
    assert expected[-1] == depth - 1


def test_given_taps():
    assert spread_taps(None, 12) == (2, 5, 8, 11)  # the paper's A.3
    assert spread_taps([0, 0, 3], 4) == (0, 0, 3)
    with pytest.raises(ValueError, match=r'^taps=\(\)'):
        spread_taps((), 4)
    with pytest.raises(ValueError, match=r'^taps=\[4\].*\b3$'):
        spread_taps([4], 4)
