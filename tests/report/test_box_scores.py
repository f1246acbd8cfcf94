"""AP per class and by size, against pycocotools itself."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.report.scenes import records
from tnt_backbone.report import box_scores
from tnt_backbone.report.box_scores import best_score, check_edges, score_boxes
from tnt_backbone.report.boxes import pictures_of

AREAS = [[0, 1e10], [0, 20**2], [20**2, 50**2], [50**2, 1e10]]


def coco_precision(given, folder, ious=None):
    """What pycocotools finds, through the files that MMDetection gives to it."""
    truth = {
        'images': [{'id': 7 + i} for i in range(len(given))],
        'categories': [{'id': 10 + i, 'name': str(i)} for i in range(3)],
        'annotations': [
            dict(id=0, image_id=7 + i, category_id=10 + label, bbox=box, area=area, iscrowd=crowd)
            for i, r in enumerate(given)
            for box, label, area, crowd in zip(
                r['truth_boxes'], r['truth_labels'], r['truth_areas'], r['truth_crowd'], strict=True
            )
        ],
    }
    for number, annotation in enumerate(truth['annotations']):
        annotation['id'] = number + 1
    path = folder / 'truth.json'
    path.write_text(json.dumps(truth))
    boxes = [
        dict(
            image_id=7 + i,
            category_id=10 + label,
            bbox=[x1, y1, x2 - x1, y2 - y1],
            score=float(np.float32(score)),
        )
        for i, r in enumerate(given)
        for (x1, y1, x2, y2), label, score in zip(
            np.float32(r['boxes']).astype(float), r['labels'], r['scores'], strict=True
        )
    ]
    api = COCO(str(path))
    evaluator = COCOeval(api, api.loadRes(boxes), 'bbox')
    evaluator.params.areaRng = AREAS
    evaluator.params.areaRngLbl = ['all', 'a', 'b', 'c']
    evaluator.params.maxDets = [100]
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def mean(values):
    return values[values > -1].mean()


def test_numbers_equal_those_of_pycocotools(tmp_path, monkeypatch):
    monkeypatch.setattr(box_scores, 'coco_eval_class', lambda: COCOeval)
    given = records(seed=1, count=60)
    evaluator = coco_precision(given, tmp_path)
    precision, recall = evaluator.eval['precision'], evaluator.eval['recall']
    ours = score_boxes(pictures_of(given), 3, edges=(20, 50))
    for label in range(3):
        assert ours.ap[label] == pytest.approx(mean(precision[:, :, label, 0, 0]), abs=1e-12)
        assert ours.ap50[label] == pytest.approx(mean(precision[0, :, label, 0, 0]), abs=1e-12)
        assert ours.ap75[label] == pytest.approx(mean(precision[5, :, label, 0, 0]), abs=1e-12)
        assert ours.curves[label] == pytest.approx(precision[0, :, label, 0, 0], abs=1e-12)
    assert len(ours.bins) == 3
    for number, one in enumerate(ours.bins):
        assert one.ap == pytest.approx(mean(precision[..., 1 + number, 0]), abs=1e-12)
        assert one.ap50 == pytest.approx(mean(precision[0, :, :, 1 + number, 0]), abs=1e-12)
        assert one.recall == pytest.approx(mean(recall[:, :, 1 + number, 0]), abs=1e-12)
    sides = np.sqrt(
        [a for r in given for a, c in zip(r['truth_areas'], r['truth_crowd'], strict=True) if not c]
    )
    assert [one.objects for one in ours.bins] == [
        (sides <= 20).sum(), ((sides > 20) & (sides <= 50)).sum(), (sides > 50).sum()
    ]  # fmt: skip


def test_faster_coco_eval_finds_the_same():
    faster = pytest.importorskip('faster_coco_eval')
    assert box_scores.coco_eval_class() is faster.COCOeval_faster
    pictures = pictures_of(records(seed=2, count=60))
    ours = score_boxes(pictures, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box_scores, 'coco_eval_class', lambda: COCOeval)
        theirs = score_boxes(pictures, 3)
    for name in ('ap', 'ap50', 'ap75', 'objects', 'curves'):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-9)
    for one, other in zip(ours.bins, theirs.bins, strict=True):
        np.testing.assert_allclose(list(vars(one).values()), list(vars(other).values()), atol=1e-9)


def test_masks_are_scored_by_their_own_ious():
    """With the IoUs of boxes as those of masks, the numbers stay; without any, nothing is found."""
    given = records(seed=3)
    boxes = pictures_of(given)
    for record, picture in zip(given, boxes, strict=True):
        order = np.argsort(-np.float32(record['scores']), kind='stable')
        ious = np.zeros(picture.ious.shape)
        ious[order] = picture.ious
        areas = np.zeros(len(order))
        areas[order] = picture.areas
        record['mask_areas'] = areas.tolist()
        record['mask_ious'] = [[i, j, ious[i, j]] for i, j in np.argwhere(ious)]
    masks = score_boxes(pictures_of(given, 'segm'), 3)
    np.testing.assert_array_equal(masks.ap, score_boxes(boxes, 3).ap)
    for record in given:
        record['mask_ious'] = []
    assert score_boxes(pictures_of(given, 'segm'), 3).ap.tolist() == [0, 0, 0]


def test_a_class_or_size_that_does_not_occur_is_no_zero():
    given = records(count=4, num_classes=2)
    scores = score_boxes(pictures_of(given), 4, edges=(5000,))
    assert np.isnan(scores.ap[2:]).all()
    assert not np.isnan(scores.ap[:2]).any()
    assert scores.bins[1].objects == 0
    assert np.isnan(scores.bins[1].ap)


def test_no_picture_and_no_box():
    assert np.isnan(score_boxes([], 2).ap).all()
    given = records(count=5)
    for record in given:
        record.update(boxes=[], scores=[], labels=[])
    assert score_boxes(pictures_of(given), 3).ap.tolist() == [0, 0, 0]
    assert best_score(pictures_of(given)) == 0.5


@pytest.mark.parametrize('edges', [[], [0, 4], [32, 16], [16, 16], [float('nan')], [2e5]])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(ValueError, match='--sizes'):
        check_edges(edges)


def test_the_best_score_has_the_best_f1_of_all():
    pictures = pictures_of(records(seed=4))
    best = best_score(pictures)

    def f1(score):
        hits = boxes = 0
        for picture in pictures:
            counted = (picture.scores >= score) & ~picture.match.in_crowd
            hits += (picture.match.truth_of[counted] >= 0).sum()
            boxes += counted.sum()
        there = sum((~picture.truth_crowd).sum() for picture in pictures)
        return 2 * hits / (boxes + there)

    candidates = np.concatenate([picture.scores for picture in pictures])
    assert f1(best) == max(f1(score) for score in candidates)
