"""What counts as the same object, and what a comparison says."""

import numpy as np
import pytest

from tnt_backbone.exported.parity import compare, match
from tnt_backbone.predict.results import Detection

BOXES = np.array([[0, 0, 100, 100], [200, 0, 300, 100], [0, 0, 100, 50]], np.float32)


def found(boxes=BOXES, scores=(0.9, 0.8, 0.7), labels=(0, 1, 0), masks=None):
    shared = {'name': 'a', 'height': 100, 'width': 300, 'classes': ('a', 'b'), 'palette': ()}
    return Detection(
        **shared,
        _pixels='',
        _sample=None,
        boxes=np.asarray(boxes, np.float32),
        scores=np.array(scores, np.float32),
        labels=np.array(labels),
        masks=masks,
    )


def moved(pixels):
    boxes = BOXES.copy()
    boxes[:, 2] += pixels
    return boxes


class Model:
    """A model that finds what it was made with, whatever the picture."""

    task = 'detection'

    def __init__(self, *results):
        self.results = results

    def stream(self, pictures, **_):
        return iter(self.results)


@pytest.mark.parametrize(
    ('changed', 'pairs'),
    [
        ({}, [(0, 0), (1, 1), (2, 2)]),
        ({'boxes': moved(0.4)}, [(0, 0), (1, 1), (2, 2)]),
        ({'boxes': moved(2)}, []),
        ({'scores': (0.9, 0.7995, 0.6)}, [(0, 0), (1, 1)]),
        ({'labels': (1, 1, 0)}, [(1, 1), (2, 2)]),
        ({'boxes': BOXES[[2, 1, 0]], 'scores': (0.7, 0.8, 0.9)}, [(0, 2), (1, 1), (2, 0)]),
        ({'boxes': BOXES[:1], 'scores': (0.9,), 'labels': (0,)}, [(0, 0)]),
    ],
)
def test_objects_are_matched(changed, pairs):
    assert sorted(match(found(), found(**changed))) == pairs


def test_an_object_is_matched_once():
    twice = found(BOXES[[0, 0, 1]], (0.9, 0.9, 0.8), (0, 0, 1))
    assert len(match(twice, found(BOXES[:1], (0.9,), (0,)))) == 1


def test_masks_count():
    masks = np.zeros((3, 100, 300), bool)
    masks[:, :50, :50] = True
    other = masks.copy()
    other[0, :5] = False  # a tenth
    other[1, 0, 0] = False  # a pixel of 2500
    assert sorted(match(found(masks=masks), found(masks=other))) == [(1, 1), (2, 2)]
    small, smaller = np.zeros_like(masks), np.zeros_like(masks)
    small[:, 0, :20] = smaller[:, 0, :19] = True  # a pixel of 20
    assert len(match(found(masks=small), found(masks=smaller))) == 3
    smaller[:, 0, 18] = False
    assert match(found(masks=small), found(masks=smaller)) == []


def test_shares_count_objects_that_only_one_model_finds():
    one = found(BOXES[:1], (0.9,), (0,))
    for ours, theirs in ((one, found()), (found(), one)):
        result = compare(Model(ours), Model(theirs), [None])
        assert (result['compared'], result['passed']) == (3, False)
        assert result['equal'] == pytest.approx(1 / 3)
    assert compare(Model(one), Model(one), [None])['passed']


def test_nothing_to_compare_is_no_success():
    none = found(np.zeros((0, 4)), (), ())
    with pytest.raises(ValueError, match='--pictures'):
        compare(Model(none), Model(none), [None])
