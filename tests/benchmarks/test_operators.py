"""Shares of operators."""

import argparse

import operators
import pytest


def test_small_operators_share_a_row():
    seconds = {'a': 0.01, 'b': 0.6, 'c': 0.02, 'd': 0.37}
    names, taken, shares = zip(*operators.rows(seconds, 0.05), strict=True)
    assert names == ('b', 'd', 'all others')
    assert taken == pytest.approx((0.6, 0.37, 0.03))
    assert sum(shares) == pytest.approx(1)


def test_operators_of_a_step():
    args = argparse.Namespace(shape=[32, 32], batch=1, backward=True, dtype='float32', rounds=1)
    names = set(operators.measure("TNT:ti+inner_backend='chunked'", args))
    assert {'aten::addmm', 'aten::native_layer_norm_backward'} <= names
    assert any(name.startswith('tnt_backbone::inner_block') for name in names)
