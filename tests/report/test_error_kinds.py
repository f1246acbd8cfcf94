"""TIDE's kinds of error: made one by one, and against tidecv where it is installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.report.scenes import records
from tnt_backbone.report import error_kinds
from tnt_backbone.report.box_scores import score_boxes
from tnt_backbone.report.boxes import pictures_of
from tnt_backbone.report.error_kinds import MISSED, NAMES, average_precision, judge, weigh

SHIFTED = [30, 0, 130, 100]  # IoU with [0, 0, 100, 100]: 70 / 130
FAR = [70, 0, 170, 100]  # 30 / 170


def picture(*boxes, truth=(((0, 0, 100, 100), 0),), crowd=None):
    """Boxes ``(corners, label)``, the surest first."""
    return {
        'boxes': [list(box) for box, _ in boxes],
        'scores': [0.9 - 0.1 * i for i in range(len(boxes))],
        'labels': [label for _, label in boxes],
        'truth_boxes': [list(box) for box, _ in truth],
        'truth_labels': [label for _, label in truth],
        'truth_areas': [box[2] * box[3] for box, _ in truth],
        'truth_crowd': crowd or [0] * len(truth),
    }


@pytest.mark.parametrize(
    ('boxes', 'expected'),
    [
        ([(SHIFTED, 0)], ['correct']),
        ([(SHIFTED, 1)], ['wrong class']),
        ([(FAR, 0)], ['poor box']),
        ([(FAR, 1)], ['wrong class and poor box']),
        ([([0, 0, 100, 100], 0), (SHIFTED, 0)], ['correct', 'duplicate']),
        ([([500, 500, 600, 600], 0)], ['background']),
    ],
)
def test_each_kind(boxes, expected):
    (one,) = pictures_of([picture(*boxes)])
    names = {0: 'correct', **NAMES}
    judged = judge(one)
    assert [names[kind] for kind in judged.kinds] == expected
    # what is near enough to be mended was not missed
    assert judged.missed.tolist() == [expected[0] in ('wrong class and poor box', 'background')]


def test_a_crowd_makes_no_error_and_is_not_missed():
    truth = [((0, 0, 200, 200), 0)]
    errors = weigh(pictures_of([picture((SHIFTED, 0), truth=truth, crowd=[1])]), 1)
    assert set(errors.counts.values()) == {0}


def test_each_cost_is_what_a_test_without_the_error_gains():
    """One class, four objects: two found, one with a poor box, one missed; a box on nothing."""
    far = [[x + 1000 * i for x in box] for i, box in enumerate([[0, 0, 100, 100]] * 4)]
    shifted = [2070, 2000, 2170, 2100]
    given = picture(
        ([9, 900, 50, 950], 0),
        (far[0], 0),
        (shifted, 0),
        (far[1], 0),
        truth=[((box[0], box[1], 100, 100), 0) for box in far],
    )
    errors = weigh(pictures_of([given]), 1)

    def ap(flags, there=4):
        return average_precision(np.array(flags, bool), there)

    assert errors.ap50 == pytest.approx(ap([0, 1, 0, 1]))
    assert errors.costs['poor box'] == pytest.approx(ap([0, 1, 1, 1]) - errors.ap50)
    assert errors.costs['background'] == pytest.approx(ap([1, 0, 1]) - errors.ap50)
    assert errors.costs[MISSED] == pytest.approx(ap([0, 1, 0, 1], 3) - errors.ap50)
    assert errors.counts[MISSED] == 1
    assert all(cost > 0 for name, cost in errors.costs.items() if errors.counts[name])


def test_the_ap_equals_cocos():
    given = records(seed=5, count=80)
    pictures = pictures_of(given)
    assert weigh(pictures, 3).ap50 == pytest.approx(score_boxes(pictures, 3).ap50.mean(), abs=1e-12)


TIDECV = Path(__file__).parents[1] / 'data' / 'tidecv.json'


def test_counts_and_costs_equal_those_of_tidecv(monkeypatch):
    """Its results for three seeds are stored; where it is installed, it is run for more."""
    # it divides by 100, and COCO's linspace differs from that in the last bit
    monkeypatch.setattr(error_kinds, 'RECALLS', np.arange(101) / 100)
    stored = json.loads(TIDECV.read_text())
    assert len(stored) == 3
    for seed, theirs in stored.items():
        ours = weigh(pictures_of(records(seed=int(seed), count=40, crowds=False)), 3)
        assert ours.ap50 * 100 == pytest.approx(theirs['ap50'], abs=1e-9)
        assert ours.counts == theirs['counts']
        assert {k: v * 100 for k, v in ours.costs.items()} == pytest.approx(
            theirs['costs'], abs=1e-9
        )


def test_counts_and_costs_equal_those_of_an_installed_tidecv(monkeypatch):
    tidecv = pytest.importorskip('tidecv')
    monkeypatch.setattr(error_kinds, 'RECALLS', np.arange(101) / 100)
    for seed in range(6, 12):
        given = records(seed=seed, count=40, crowds=False)
        truth, found = tidecv.Data('truth'), tidecv.Data('found')
        for number, record in enumerate(given):
            truth.add_image(number, record['path'])  # also if it has no object
            for box, label in zip(record['truth_boxes'], record['truth_labels'], strict=True):
                truth.add_ground_truth(number, label, box)
            for (x1, y1, x2, y2), label, score in zip(
                record['boxes'], record['labels'], record['scores'], strict=True
            ):
                found.add_detection(number, label, score, [x1, y1, x2 - x1, y2 - y1])
        run = tidecv.TIDE().evaluate(truth, found, mode=tidecv.TIDE.BOX)
        names = {
            'Cls': 'wrong class', 'Loc': 'poor box', 'Both': 'wrong class and poor box',
            'Dupe': 'duplicate', 'Bkg': 'background', 'Miss': 'missed',
        }  # fmt: skip
        ours = weigh(pictures_of(given), 3)
        assert ours.ap50 * 100 == pytest.approx(run.ap, abs=1e-9)
        counted = {names[e.short_name]: n for e, n in run.count_errors().items()}
        assert ours.counts == counted
        costs = {names[e.short_name]: cost for e, cost in run.fix_main_errors().items()}
        assert {k: v * 100 for k, v in ours.costs.items()} == pytest.approx(costs, abs=1e-9)
