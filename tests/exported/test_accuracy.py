"""Accuracies of models whose answers are known, by the libraries' data sets and metrics."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from tnt_backbone.exported.accuracy import compare_accuracies, load_test_data
from tnt_backbone.predict.pictures import UnreadablePictureError
from tnt_backbone.predict.results import Classification, Detection, Segmentation

NUMBER = 50
CLASSES = ('a', 'b')
SHARED = {
    **{'height': 32, 'width': 32, 'classes': CLASSES, 'palette': (), '_pixels': ''},
    '_sample': None,
}
BOX = (4, 8, 20, 24)  # x1, y1, x2, y2
LOAD, ANNOTATIONS = {'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}


class Model:
    """A model that answers what a function returns for a picture's number."""

    classes = CLASSES

    def __init__(self, task, answer):
        self.task, self.answer = task, answer

    def stream(self, pictures, **_):
        for number, picture in enumerate(pictures):
            assert picture.path.endswith(f'{number:02d}.png')
            yield self.answer(number)


def write_pictures(folder, *, label_maps=False):
    folder.mkdir(parents=True)
    for number in range(NUMBER):
        image = np.zeros((32, 32, 3), np.uint8)
        image[:, 16:] = 1
        cv2.imwrite(str(folder / f'{number:02d}.png'), image[..., 0] if label_maps else image)
    return folder


@pytest.fixture
def detection(tmp_path):
    write_pictures(tmp_path / 'images')
    x1, y1, x2, y2 = BOX
    polygon = [x1, y1, x2, y1, x2, y2, x1, y2]
    content = {
        'images': [
            {'id': i, 'file_name': f'{i:02d}.png', 'height': 32, 'width': 32} for i in range(NUMBER)
        ],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)],
        'annotations': [
            {'id': i + 1, 'image_id': i, 'category_id': 1 + i % 2, 'iscrowd': 0, 'area': 256,
             'bbox': [x1, y1, x2 - x1, y2 - y1], 'segmentation': [polygon]}
            for i in range(NUMBER)
        ],
    }  # fmt: skip
    (tmp_path / 'val.json').write_text(json.dumps(content))
    dataset = {
        **{'type': 'CocoDataset', 'data_root': str(tmp_path), 'ann_file': 'val.json'},
        **{'data_prefix': {'img': 'images/'}, 'metainfo': {'classes': CLASSES}},
        **{'pipeline': [LOAD, {'type': 'PackDetInputs'}], 'test_mode': True},
    }
    metric = {'type': 'CocoMetric', 'ann_file': f'{tmp_path}/val.json', 'metric': ['bbox', 'segm']}
    return make_config('mmdet', dataset, metric)


@pytest.fixture
def segmentation(tmp_path):
    write_pictures(tmp_path / 'images')
    write_pictures(tmp_path / 'maps', label_maps=True)
    dataset = {
        **{'type': 'BaseSegDataset', 'data_root': str(tmp_path), 'img_suffix': '.png'},
        **{'data_prefix': {'img_path': 'images', 'seg_map_path': 'maps'}},
        'metainfo': {'classes': CLASSES, 'palette': [[0, 0, 0], [255, 0, 0]]},
        'pipeline': [LOAD, ANNOTATIONS, {'type': 'PackSegInputs'}],
        'test_mode': True,
    }
    return make_config('mmseg', dataset, {'type': 'IoUMetric', 'iou_metrics': ['mIoU']})


@pytest.fixture
def classification(tmp_path):
    write_pictures(tmp_path / 'images/a')
    (tmp_path / 'images/b').mkdir()
    (tmp_path / 'images/a/49.png').rename(tmp_path / 'images/b/49.png')
    dataset = {
        **{'type': 'CustomDataset', 'data_root': str(tmp_path), 'data_prefix': 'images'},
        'pipeline': [LOAD, {'type': 'PackInputs'}],
        'test_mode': True,
    }
    return make_config('mmpretrain', dataset, {'type': 'Accuracy', 'topk': (1,)})


def make_config(scope, dataset, metric):
    __import__(f'{scope}.utils').utils.register_all_modules(init_default_scope=False)
    return Config(
        {
            **{'default_scope': scope, 'test_dataloader': {'dataset': dataset}},
            'test_evaluator': metric,
        }
    )


def objects(number, *, found=True, label=None):
    masks = np.zeros((1, 32, 32), bool)
    masks[:, BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    kept = slice(None) if found else slice(0)
    return Detection(
        **{'name': '', **SHARED, 'boxes': np.array([BOX], np.float32)[kept]},
        scores=np.array([0.9], np.float32)[kept],
        labels=np.array([number % 2 if label is None else label])[kept],
        masks=masks[kept],
    )


def label_map(wrong_rows):
    labels = np.zeros((32, 32), np.int64)
    labels[:, 16:] = 1
    labels[:wrong_rows, 16:] = 0
    return Segmentation(name='', **SHARED, labels=labels)


def scores(certain):
    return Classification(name='', **SHARED, scores=np.array([certain, 1 - certain], np.float32))


def compare(cfg, right, other):
    models = [Model(task_of(cfg), answer) for answer in (right, other)]
    return compare_accuracies(cfg, load_test_data(cfg, models[0]), *models)


def task_of(cfg):
    tasks = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}
    return tasks[cfg.default_scope]


def test_points_of_a_detector(detection):
    found = compare(detection, objects, lambda i: objects(i, found=i >= 25))
    assert (found['pictures'], found['passed']) == (NUMBER, False)
    assert set(found['metrics']) == {'coco/bbox_mAP', 'coco/segm_mAP'}
    for metric in found['metrics'].values():
        assert metric['checkpoint'] == pytest.approx(100)
        # a recall of 24 and of 26 of 50: COCO's 101 points of the curve, up to it
        assert metric['file'] == pytest.approx(50, abs=2)
        assert metric['lost'] == pytest.approx(metric['checkpoint'] - metric['file'])
    assert compare(detection, objects, objects)['passed']
    wrong = compare(detection, objects, lambda i: objects(i, label=(i + 1) % 2))
    assert wrong['metrics']['coco/bbox_mAP']['file'] == 0


def test_points_of_a_segmentor(segmentation):
    found = compare(segmentation, lambda _: label_map(0), lambda _: label_map(8))
    # of class a 512 pixels and 128 too many, of class b 384 of 512
    expected = 100 * (512 / 640 + 384 / 512) / 2
    assert found['metrics']['mIoU']['checkpoint'] == pytest.approx(100)
    assert found['metrics']['mIoU']['file'] == pytest.approx(expected, abs=0.01)
    assert not found['passed']


def test_points_of_a_classifier(classification):
    found = compare(classification, lambda i: scores(0.9 if i < 49 else 0.1), lambda _: scores(0.9))
    assert found['metrics'] == {
        'accuracy/top1': {
            'checkpoint': pytest.approx(100), 'file': pytest.approx(98), 'lost': pytest.approx(2)
        }
    }  # fmt: skip
    assert not found['passed']
    better = compare(
        classification, lambda _: scores(0.9), lambda i: scores(0.9 if i < 49 else 0.1)
    )
    assert better['passed']


def test_points_of_a_head_for_several_labels(classification):
    names = {'0': [0, 1], '1': [1]}
    entries = [
        {'img_path': f'{i:02d}.png', 'gt_label': names['0' if i < 25 else '1']}
        for i in range(NUMBER)
    ]
    folder = Path(classification.test_dataloader.dataset.data_root)
    (folder / 'images/b/49.png').rename(folder / 'images/a/49.png')
    content = {'metainfo': {'classes': CLASSES}, 'data_list': entries}
    (folder / 'labels.json').write_text(json.dumps(content))
    classification.test_dataloader.dataset = {
        **{'type': 'MultiLabelDataset', 'data_root': str(folder), 'ann_file': 'labels.json'},
        **{'data_prefix': 'images/a', 'pipeline': [LOAD, {'type': 'PackInputs'}]},
        'test_mode': True,
    }
    classification.test_evaluator = [{'type': 'AveragePrecision'}, {'type': 'MultiLabelMetric'}]

    def answer(found):
        scores = np.full(2, 0.1, np.float32)
        scores[found] = 0.9
        return Classification(name='', **SHARED, scores=scores, chosen=np.array(found))

    found = compare(
        classification, lambda i: answer([0, 1] if i < 25 else [1]), lambda _: answer([1])
    )
    points = {name: values['file'] for name, values in found['metrics'].items()}
    # class a: the mean share of right ones among 50 equal scores; its F1 is 0
    assert set(points) == {'multi-label/mAP', 'multi-label/f1-score'}
    assert points['multi-label/f1-score'] == pytest.approx(50)
    assert all(values['checkpoint'] == pytest.approx(100) for values in found['metrics'].values())
    assert not found['passed']


def test_who_finds_nothing_has_no_points(detection):
    found = compare(detection, objects, lambda i: objects(i, found=False))
    assert found['metrics']['coco/bbox_mAP']['lost'] == pytest.approx(100)
    assert not found['passed']
    with pytest.raises(ValueError, match='--config'):
        compare(detection, lambda i: objects(i, found=False), objects)
    with pytest.raises(ValueError, match='coco/bbox_mAP'):
        compare(detection, lambda i: objects(i, label=(i + 1) % 2), objects)


def test_data_that_says_nothing_is_refused(detection, tmp_path):
    detection.test_evaluator.metric = 'proposal'
    with pytest.raises(ValueError, match='test_evaluator'):
        compare(detection, objects, objects)
    damaged = UnreadablePictureError('7.png')
    detection.test_evaluator.metric = 'bbox'
    with pytest.raises(UnreadablePictureError):
        compare(detection, lambda _: damaged, objects)
    detection.test_dataloader.dataset.metainfo.classes = ('a', 'other')
    with pytest.raises(ValueError, match='other'):
        compare(detection, objects, objects)
    few = json.loads((tmp_path / 'val.json').read_text())
    few['images'] = few['images'][:49]
    (tmp_path / 'val.json').write_text(json.dumps(few))
    with pytest.raises(ValueError, match='49'):
        compare(detection, objects, objects)
