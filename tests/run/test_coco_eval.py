"""faster-coco-eval in MMDetection's metric finds the numbers of pycocotools."""

import json
import sys

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric
from mmengine.config import Config

from tests.report.scenes import CLASSES, records
from tnt_backbone.run.coco_eval import use_faster_coco_eval

MMDET = Config({'default_scope': 'mmdet'})


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setattr(coco_metric, 'COCOeval', coco_metric.COCOeval)


def evaluate(given, folder):
    """All metrics of a detector with 150 boxes of a class in each picture."""
    random = np.random.default_rng(0)
    annotations, outputs = [], []
    for number, record in enumerate(given):
        for box, area, crowd in zip(
            record['truth_boxes'], record['truth_areas'],
            record['truth_crowd'], strict=True,
        ):  # fmt: skip
            x, y, w, h = box
            polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                dict(id=len(annotations) + 1, image_id=number, category_id=1, bbox=box,
                     area=area, iscrowd=crowd, segmentation=[polygon])
            )  # fmt: skip
        more = random.uniform(0, 300, (150, 4))
        more[:, 2:] += more[:, :2] + 1
        boxes = np.concatenate([more, record['boxes']])
        scores = np.concatenate([random.uniform(0.5, 0.6, 150), record['scores']])
        labels = np.concatenate([np.zeros(150, int), record['labels']])
        # of every second picture, the right boxes come behind the first 100
        right = np.array(record['truth_boxes']).reshape(-1, 4)
        right[:, 2:] += right[:, :2]
        boxes = np.concatenate([boxes, right])
        scores = np.concatenate([scores, np.full(len(right), 0.99 if number % 2 else 0.4)])
        labels = np.concatenate([labels, np.zeros(len(right), int)])
        masks = torch.zeros(len(boxes), 120, 160, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, (boxes / 4).astype(int).clip(0), strict=True):
            mask[y1 : y2 + 1, x1 : x2 + 1] = True
        found = dict(bboxes=boxes, scores=scores, labels=labels)
        found = {key: torch.tensor(value).float() for key, value in found.items()}
        found['labels'] = found['labels'].long()
        found['masks'] = masks
        outputs.append(dict(img_id=number, ori_shape=(120, 160), pred_instances=found))
    truth = {
        'images': [dict(id=i, width=160, height=120) for i in range(len(given))],
        'categories': [dict(id=1 + i, name=name) for i, name in enumerate(CLASSES)],
        'annotations': annotations,
    }
    (folder / 'truth.json').write_text(json.dumps(truth))
    items = ['mAP', 'mAP_50', 'mAP_s', 'mAP_l', 'AR@100', 'AR@1000']
    metric = CocoMetric(
        str(folder / 'truth.json'), metric=['bbox', 'segm'], classwise=True, metric_items=items
    )
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, outputs)
    return metric.evaluate(len(given))


def test_all_metrics_are_equal_with_more_than_100_boxes(tmp_path):
    pytest.importorskip('faster_coco_eval')
    given = records(count=8)
    before = evaluate(given, tmp_path)
    assert use_faster_coco_eval(MMDET)
    assert 'Faster' in coco_metric.COCOeval.__name__
    assert evaluate(given, tmp_path) == pytest.approx(before, abs=1e-9, nan_ok=True)
    assert before['coco/bbox_AR@100'] < before['coco/bbox_AR@1000']  # the limit matters


def test_nothing_changes_without_it_or_for_other_libraries(monkeypatch):
    before = coco_metric.COCOeval
    assert not use_faster_coco_eval(Config({'default_scope': 'mmseg'}))
    monkeypatch.setitem(sys.modules, 'faster_coco_eval', None)
    assert not use_faster_coco_eval(MMDET)
    assert coco_metric.COCOeval is before
