"""Scores by size, against pycocotools' own summary and by hand."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from small_objects_scores import box_scores, map_scores

SIZES = dict(small=(0.0, 12.0), large=(12.0, 1e4))


@pytest.fixture
def truth(tmp_path):
    """Four pictures with a box of 4 x 8 of class 1 and one of 20 x 30 of class 2 each."""
    annotations = []
    for image in range(4):
        for category, box in ((1, [10, 10, 4, 8]), (2, [50, 50, 20, 30])):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=category,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                )
            )
    content = dict(
        images=[dict(id=i, width=128, height=128) for i in range(4)],
        annotations=annotations,
        categories=[dict(id=1, name='1'), dict(id=2, name='2')],
    )
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    return path


def found(truth, change):
    """Return a file of detections: the true boxes, changed by a function, or left out."""
    boxes = []
    for entry in json.loads(truth.read_text())['annotations']:
        box = dict(
            image_id=entry['image_id'],
            category_id=entry['category_id'],
            bbox=list(entry['bbox']),
            score=0.5,
        )
        boxes += [changed] if (changed := change(box)) else []
    path = truth.with_name('found.json')
    path.write_text(json.dumps(boxes))
    return path


def test_all_found(truth):
    scores = box_scores(truth, found(truth, lambda box: box), SIZES)
    assert len(scores) == 2 * 2 * 3
    assert set(scores.values()) == {1.0}


def test_only_small_ones_found(truth):
    scores = box_scores(truth, found(truth, lambda box: box['bbox'][2] < 12 and box), SIZES)
    assert (scores['AP_small'], scores['AP_large'], scores['AP_all']) == (1.0, 0.0, 0.5)
    # without classes: half of the objects are found, so precision is 1 up to a recall of a half
    assert scores['AP50_all_any'] == pytest.approx(51 / 101)


def test_wrong_classes(truth):
    def other(box):
        return box | dict(category_id=3 - box['category_id'])

    scores = box_scores(truth, found(truth, other), SIZES)
    assert scores['AP_all'] == 0.0
    assert scores['AP_all_any'] == scores['AP_small_any'] == 1.0


def test_a_size_is_the_longer_side(truth):
    """A box of 4 x 8 would be smaller than 12 by its area's root, too; one of 1 x 20 would not."""
    content = json.loads(truth.read_text())
    for entry in content['annotations'][::2]:
        entry['bbox'][2:] = [1, 20]
        entry['area'] = 20
    truth.write_text(json.dumps(content))
    scores = box_scores(truth, found(truth, lambda box: box), SIZES)
    assert (scores['AP_small'], scores['AP_large']) == (-1.0, 1.0)


def test_nothing_found(truth):
    scores = box_scores(truth, found(truth, lambda box: None), SIZES)
    assert set(scores.values()) == {0.0}
    assert set(scores) == set(box_scores(truth, found(truth, lambda box: box), SIZES))


def test_the_sum_of_all_sizes_is_pycocotools_own(truth):
    rng = np.random.default_rng(0)

    def moved(box):
        shift = rng.normal(0, 1.5, 4)
        return box | dict(
            bbox=[float(v) for v in np.array(box['bbox']) + shift], score=float(rng.random())
        )

    boxes = found(truth, moved)
    scores = box_scores(truth, boxes, SIZES)
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO(str(truth))
        evaluation = COCOeval(expected, expected.loadRes(str(boxes)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert 0 < evaluation.stats[0] < 1
    assert scores['AP_all'] == pytest.approx(evaluation.stats[0], abs=1e-12)
    assert scores['AP50_all'] == pytest.approx(evaluation.stats[1], abs=1e-12)


def test_pixels_by_size(truth, tmp_path):
    """Of a box of 4 x 8 a quarter gets another class; of one of 20 x 30 a half gets none."""
    maps, found_maps = tmp_path / 'maps', tmp_path / 'found'
    for folder in (maps, found_maps):
        folder.mkdir()
    document = json.loads(truth.read_text())
    for image in document['images']:
        image['file_name'] = f'{image["id"]}.jpg'
        labels = np.zeros((128, 128), np.uint8)
        labels[10:18, 10:14], labels[50:80, 50:70] = 1, 2
        cv2.imwrite(str(maps / f'{image["id"]}.png'), labels)
        labels[10:12, 10:14], labels[50:65, 50:70] = 2, 0
        cv2.imwrite(str(found_maps / f'{image["id"]}.png'), labels)
    truth.write_text(json.dumps(document))
    assert map_scores(truth, maps, found_maps, SIZES) == pytest.approx(
        dict(
            pixels_small=0.75,
            pixels_large=0.5,
            pixels_small_any=1.0,
            pixels_large_any=0.5,
            IoU_any=(32 + 300) / 632,
        )
    )
