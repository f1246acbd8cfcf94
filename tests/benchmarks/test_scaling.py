"""Fitted exponents."""

import pytest
from scaling import exponents


def test_exponents():
    amounts = [1, 2, 3, 5, 8]
    costs = [(7.0, 9.0), (0.1, 9.0), *((3 * n**2, 5 * n) for n in amounts[2:])]  # the larger half
    assert exponents(amounts, costs) == pytest.approx([2, 1])
