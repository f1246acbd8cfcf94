"""Confusion of boxes: made by hand, and against MMDetection's tool."""

import importlib.util
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch

from tests.report.scenes import records
from tests.report.test_error_kinds import FAR, SHIFTED, picture
from tnt_backbone.report.boxes import pictures_of
from tnt_backbone.report.confusion import of_boxes, scores_of

TOOL = Path(mmdet.__file__).parent / '.mim/tools/analysis_tools/confusion_matrix.py'
EXACT = [0, 0, 100, 100]


@pytest.mark.parametrize(
    ('boxes', 'expected'),
    [
        ([(EXACT, 0)], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]),
        ([(EXACT, 1)], [[0, 1, 0], [0, 0, 0], [0, 0, 0]]),
        ([(FAR, 0)], [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
        ([(EXACT, 0), (SHIFTED, 0)], [[1, 0, 0], [0, 0, 0], [1, 0, 0]]),  # twice
        ([(EXACT, 1), (SHIFTED, 0)], [[1, 0, 0], [0, 0, 0], [0, 1, 0]]),  # its own class first
        ([], [[0, 0, 1], [0, 0, 0], [0, 0, 0]]),
    ],
)
def test_each_box_and_each_object_is_counted_once(boxes, expected):
    assert of_boxes(pictures_of([picture(*boxes)]), 2, 0.1).tolist() == expected


def test_boxes_below_the_score_and_in_crowds_do_not_count():
    given = picture((EXACT, 0), (SHIFTED, 1))
    assert of_boxes(pictures_of([given]), 2, 0.85).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    crowd = picture((EXACT, 0), crowd=[1])
    assert of_boxes(pictures_of([crowd]), 2, 0.1).sum() == 0


def test_sums_are_those_of_boxes_and_objects():
    given = records(seed=20, count=60, crowds=False)
    pictures = pictures_of(given)
    matrix = of_boxes(pictures, 3, 0.3)
    there = np.bincount([label for r in given for label in r['truth_labels']], minlength=3)
    found = np.bincount(np.concatenate([p.labels[p.scores >= 0.3] for p in pictures]), minlength=3)
    np.testing.assert_array_equal(matrix.sum(1)[:3], there)
    np.testing.assert_array_equal(matrix.sum(0)[:3], found)
    hits = sum(
        int(((p.match.truth_of >= 0) & (p.scores >= 0.3) & (p.labels == 1)).sum()) for p in pictures
    )
    assert matrix[1, 1] == hits
    assert scores_of(matrix)['recall'][1] == pytest.approx(hits / there[1])
    assert scores_of(matrix)['precision'][1] == pytest.approx(hits / found[1])


@pytest.mark.skipif(not TOOL.is_file(), reason='MMDetection without its tools')
def test_the_matrix_equals_that_of_mmdetections_tool():
    """For one box per object; the tool calls an object of a wrong class missed, too."""
    spec = importlib.util.spec_from_file_location('confusion_matrix', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    random = np.random.default_rng(0)
    given, theirs = [], np.zeros((4, 4))
    for _ in range(20):
        corners = np.arange(8)[:, None] * [300.0, 0] + random.uniform(0, 20, (8, 2))
        truth = np.concatenate([corners, corners + random.uniform(30, 200, (8, 2))], 1)
        labels = random.integers(0, 3, 8)
        sizes = np.tile(truth[:, 2:] - truth[:, :2], 2)
        boxes = np.float32(truth + random.normal(0, 0.2, (8, 4)) * sizes)
        predicted = np.where(random.random(8) < 0.7, labels, random.integers(0, 3, 8))
        scores = np.float32(random.random(8))
        given.append(
            {
                'boxes': boxes.tolist(), 'scores': scores.tolist(), 'labels': predicted.tolist(),
                'truth_boxes': np.concatenate([truth[:, :2], sizes[:, :2]], 1).tolist(),
                'truth_labels': labels.tolist(), 'truth_areas': sizes[:, :2].prod(1).tolist(),
            }
        )  # fmt: skip
        tool.analyze_per_img_dets(
            theirs,
            [dict(bbox=b, bbox_label=int(n)) for b, n in zip(truth, labels, strict=True)],
            {
                'bboxes': torch.tensor(boxes), 'scores': torch.tensor(scores),
                'labels': torch.tensor(predicted),
            },
            score_thr=0.2,
        )  # fmt: skip
    ours = of_boxes(pictures_of(given), 3, 0.2)
    np.testing.assert_array_equal(ours[:, :3], theirs[:, :3])
    wrong = ours[:3, :3].sum(1) - np.diag(ours)[:3]
    np.testing.assert_array_equal(ours[:3, 3] + wrong, theirs[:3, 3])
    assert wrong.sum() > 10
    assert ours[3].sum() > 10
