"""Names of scores, against those that the libraries' own metrics give."""

import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmengine.config import Config
from mmpretrain.evaluation import Accuracy
from mmseg.evaluation import IoUMetric

from tnt_backbone.run.named_scores import check_named_scores, check_topk, scores_of


def given(metric, results):
    """Return the names that a metric gives."""
    metric.results.extend(results)
    return {*metric.evaluate(len(results))}


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'metric': ['bbox', 'segm'], 'prefix': 'mine'},
        {'metric': 'segm', 'metric_items': ['mAP', 'mAP_50']},
    ],
)
def test_coco(tmp_path, options):
    square = [[2, 2, 12, 2, 12, 12, 2, 12]]
    box = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [2, 2, 10, 10], 'area': 100}
    content = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 32, 'height': 32}],
        'annotations': [{**box, 'iscrowd': 0, 'segmentation': square}],
        'categories': [{'id': 1, 'name': 'cat'}],
    }
    (tmp_path / 'a.json').write_text(json.dumps(content))
    options = options | {'ann_file': str(tmp_path / 'a.json')}
    metric = CocoMetric(**options)
    metric.dataset_meta = {'classes': ('cat',)}
    mask = {'size': [32, 32], 'counts': b'0'}
    found = {
        'img_id': 1,
        'bboxes': np.float32([[2, 2, 12, 12]]),
        'scores': np.float32([0.9]),
        'labels': np.array([0]),
        'masks': [mask],
    }
    assert given(metric, [({'img_id': 1}, found)]) == scores_of({'type': 'CocoMetric', **options})


@pytest.mark.parametrize('kinds', [['mIoU'], ['mDice'], ['mIoU', 'mFscore'], 'mIoU'])
def test_label_maps(kinds):
    metric = IoUMetric(iou_metrics=kinds)
    metric.dataset_meta = {'classes': ('a', 'b')}
    labels = torch.tensor([0, 1])
    results = [IoUMetric.intersect_and_union(labels, labels, 2, 255)]
    assert given(metric, results) == scores_of([{'type': IoUMetric, 'iou_metrics': kinds}])


@pytest.mark.parametrize('options', [{}, {'topk': 1}, {'topk': (1, 2), 'prefix': 'val'}])
def test_classes(options):
    results = [{'gt_label': torch.tensor([0]), 'pred_score': torch.tensor([0.9, 0.1])}]
    known = scores_of({'type': 'mmpretrain.Accuracy', **options})
    assert given(Accuracy(**options), results) == known


@pytest.mark.parametrize(
    'evaluator',
    [
        None,
        {'type': 'VOCMetric'},
        [{'type': 'IoUMetric'}, {'type': 'Own'}],
        {'type': 'CocoMetric', 'metric': 'proposal'},
        {'type': 'CocoMetric', 'classwise': True},
        {'type': 'IoUMetric', 'format_only': True},
        {'type': 'Accuracy', 'thrs': (0.1, 0.2)},
    ],
)
def test_what_is_not_known_is_passed_over(evaluator):
    assert scores_of(evaluator) is None
    saver = {'checkpoint': {'save_best': 'anything'}}
    check_named_scores(Config({'val_evaluator': evaluator, 'default_hooks': saver}))


@pytest.mark.parametrize('score', ['auto', 'coco/bbox_mAP', ['coco/bbox_mAP_50', 'auto'], None, ''])
def test_scores_that_are_given(score):
    saver = {'checkpoint': {'save_best': score}}
    check_named_scores(Config({'val_evaluator': {'type': 'CocoMetric'}, 'default_hooks': saver}))


@pytest.mark.parametrize('score', ['bbox_mAP', 'coco/segm_mAP', ['coco/bbox_mAP', 'mIoU']])
def test_scores_that_are_not_given(score):
    saver = {'checkpoint': {'save_best': score}}
    config = Config({'val_evaluator': {'type': 'CocoMetric'}, 'default_hooks': saver})
    wrong = score if isinstance(score, str) else score[-1]
    with pytest.raises(ValueError, match=rf'save_best={wrong!r}.*coco/bbox_mAP_50'):
        check_named_scores(config)


def test_more_classes_than_there_are():
    config = Config(
        {
            'model': {'head': {'num_classes': 3}},
            'val_evaluator': {'type': 'Accuracy', 'topk': (1, 5)},
            'test_evaluator': [{'type': 'Other', 'topk': 9}, {'type': 'Accuracy', 'topk': 5}],
        }
    )
    for phase, place in (('val', 'val_evaluator'), ('test', r'test_evaluator\.1')):
        with pytest.raises(ValueError, match=rf'^{place}\.topk has 5, .* 3 classes'):
            check_topk(config, phase)
    with pytest.raises(ValueError, match='Top-5'):  # as MMPretrain does at the end
        Accuracy(topk=(1, 5)).calculate(torch.rand(2, 3), torch.tensor([0, 1]), topk=(1, 5))
    config.model.head.num_classes = 5
    check_topk(config, 'val')
    check_topk(config, 'test')


@pytest.mark.parametrize(
    ('key', 'kind'),
    [('custom_hooks', 'EarlyStoppingHook'), ('param_scheduler', 'ReduceOnPlateauLR')],
)
def test_what_follows_a_score(key, kind):
    parts = [{'type': 'Other', 'monitor': 'a'}, {'type': f'mmengine.{kind}', 'monitor': 'mIoU'}]
    config = Config({'val_evaluator': {'type': 'IoUMetric'}, key: parts})
    check_named_scores(config)
    config[key][1].monitor = 'miou'
    with pytest.raises(ValueError, match=rf"{key}\.1\.monitor='miou'.*mean mIoU"):
        check_named_scores(config)
    for loss in ('loss_ce', 'val_loss'):  # a model may give them
        config[key][1].monitor = loss
        check_named_scores(config)
    del config[key][1].monitor
    check_named_scores(config)
