"""What an inner block is measured against."""

import argparse

import inner_block
import pytest


def test_bound_of_arithmetic_on_a_cpu():
    args = argparse.Namespace(device='cpu', sentences=784, words=16, dims=24)
    taken = {'product': inner_block.SIDE**3 / 1e11}  # 100 G multiply-adds a second
    line, (once, both) = inner_block.bounds(args, taken)
    assert once == pytest.approx(96.3e6 / 1e11, rel=1e-3)
    assert both == pytest.approx(3 * once)
    assert '100.0 G' in line


def test_bound_of_memory_on_a_gpu():
    args = argparse.Namespace(device='cuda')
    assert inner_block.bounds(args, {'copy': 2e-3})[1] == pytest.approx((2e-3, 5e-3))
