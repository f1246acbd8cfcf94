"""The digits: real, split for good, drawn tightly."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tnt_backbone.demo.digits import CLASSES, SPLITS, load_class, load_split, render


def test_the_splits_share_no_digit_and_leave_none_out():
    train, val = (load_split(split) for split in SPLITS)
    assert {digit.index for digit in train}.isdisjoint(digit.index for digit in val)
    assert len(train) + len(val) == len(load_digits().target)
    # nor do two samples that were counted twice look the same
    assert {digit.ink.tobytes() for digit in train}.isdisjoint(digit.ink.tobytes() for digit in val)


@pytest.mark.parametrize('split', SPLITS)
def test_digits_are_those_of_scikit_learn(split):
    data = load_digits()
    for digit in load_split(split):
        assert digit.label == data.target[digit.index]
        np.testing.assert_array_equal(digit.ink * 16, data.images[digit.index])
    assert {digit.label for digit in load_split(split)} == set(range(len(CLASSES)))


@pytest.mark.parametrize('split', SPLITS)
def test_the_classes_of_a_split_are_its_digits(split):
    classes = [load_class(split, label) for label in range(len(CLASSES))]
    for label, digits in enumerate(classes):
        assert {digit.label for digit in digits} == {label}
        assert [digit.index for digit in digits] == sorted(digit.index for digit in digits)
    assert sum(map(len, classes)) == len(load_split(split))


def test_drawing_a_digit_again_gives_the_same():
    one, other = load_split('train')[:2]
    first = render(one, height=20)
    first[:] = 0  # what a caller does to it must not reach the next
    again = render(one, height=20)
    assert again.max() == 1
    np.testing.assert_array_equal(again, render(one, height=20))
    assert again.shape != render(other, height=20).shape


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match=r"split='test'.*'val'"):
        load_split('test')


@pytest.mark.parametrize('height', [8.0, 21.5, 300.0])
@pytest.mark.parametrize('angle', [0.0, -15.0])
def test_render_is_tight_and_as_high_as_asked(height, angle):
    for digit in load_split('val')[:20]:
        opacity = render(digit, height=height, angle=angle)
        solid = opacity >= 0.5
        assert solid[0].any()
        assert solid[-1].any()
        assert solid[:, 0].any()
        assert solid[:, -1].any()
        assert opacity.min() >= 0.0
        assert opacity.max() <= 1.0
        if angle == 0:
            assert abs(opacity.shape[0] - height) <= 2 + 0.05 * height


def test_render_turns_counter_clockwise_and_stretches():
    one = next(digit for digit in load_split('train') if digit.label == 1)
    wide, narrow = (render(one, height=64, stretch=stretch).shape[1] for stretch in (1.2, 0.8))
    assert wide / narrow == pytest.approx(1.5, rel=0.1)

    def lean(angle):  # how far to the right the upper half lies
        opacity = render(one, height=64, angle=angle)
        columns = np.arange(opacity.shape[1])
        upper, lower = np.array_split(opacity, 2)
        return (upper @ columns).sum() / upper.sum() - (lower @ columns).sum() / lower.sum()

    assert lean(15) < lean(0) < lean(-15)
