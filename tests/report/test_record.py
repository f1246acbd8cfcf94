"""What recorders keep of real data samples, by value against the libraries' own metrics."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmpretrain.evaluation import Accuracy, AveragePrecision, SingleLabelMetric
from mmpretrain.structures import DataSample
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample
from PIL import Image
from pycocotools import mask as mask_utils
from sklearn.metrics import confusion_matrix

from tnt_backbone.predict.draw import class_colours
from tnt_backbone.report.boxes import pictures_of
from tnt_backbone.report.examples import examples_of
from tnt_backbone.report.record import recorder_for
from tnt_backbone.report.record_maps import EXAMPLES
from tnt_backbone.report.results import Results, to_json
from tnt_backbone.report.summary import summarize

CLASSES = ('a', 'b', 'c', 'd')


def summary_of(samples, metrics=(), classes=CLASSES):
    """In batches of two, as a test gives them."""
    recorder = recorder_for(samples[0], classes, metrics)
    records = [r for i in range(0, len(samples), 2) for r in recorder.record(samples[i : i + 2])]
    content = json.loads(to_json(records))  # numbers, nothing else
    return summarize(
        Results(task=recorder.task, classes=recorder.classes, metrics={}, pictures=content)
    )


def columns(summary):
    values = np.array([values for _, values in summary.rows])
    return dict(zip(summary.columns, values.T, strict=True))


def maps(seed, height=37, width=53, wrong=0.4):
    """True and predicted labels; 255 is ignored, and class d occurs nowhere."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, (height // 8 + 1, width // 8 + 1)).repeat(8, 0).repeat(8, 1)
    truth = truth[:height, :width]
    predicted = np.where(random.random(truth.shape) < wrong, random.integers(0, 3), truth)
    truth[random.random(truth.shape) < 0.1] = 255
    return truth, predicted


def seg_sample(truth, predicted, path='a.jpg'):
    sample = SegDataSample(metainfo={'img_path': path, 'ori_shape': truth.shape})
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth)[None])
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(predicted)[None])
    return sample


def test_segmentation_equals_mmseg_and_sklearn():
    pairs = [maps(seed) for seed in range(5)]
    samples = [seg_sample(*pair) for pair in pairs]
    metric = IoUMetric(iou_metrics=['mIoU', 'mFscore'])
    metric.dataset_meta = {'classes': CLASSES}
    summary = summary_of(samples, [metric])
    metric.process({}, [sample.to_dict() for sample in samples])
    areas = [sum(part) for part in zip(*metric.results, strict=True)]
    theirs = metric.total_area_to_metrics(*areas, ['mIoU', 'mFscore'])
    found = columns(summary)
    for ours, name in (('IoU', 'IoU'), ('recall', 'Recall'), ('precision', 'Precision')):
        np.testing.assert_allclose(found[ours], theirs[name], rtol=1e-6)
    np.testing.assert_allclose(found['F1'][:3], theirs['Fscore'][:3], rtol=1e-6)
    assert np.isnan(found['IoU'][3])
    assert summary.extra['accuracy'] == pytest.approx(float(theirs['aAcc']), rel=1e-6)
    assert summary.extra['mIoU'] == pytest.approx(np.nanmean(theirs['IoU']), rel=1e-6)
    truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    expected = confusion_matrix(
        truth[truth != 255], predicted[truth != 255], labels=range(len(CLASSES))
    )
    np.testing.assert_array_equal(summary.matrix[:4, :4], expected)
    assert summary.matrix[4].sum() == summary.matrix[:, 4].sum() == 0


def test_another_ignored_label_and_labels_of_no_class():
    truth, predicted = np.array([[0, 0, 7, 3]]), np.array([[0, 1, 1, 1]])
    metric = IoUMetric(ignore_index=3)
    summary = summary_of([seg_sample(truth, predicted)], [metric], classes=('a', 'b'))
    assert summary.matrix.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_the_maps_of_the_best_and_worst_pictures_are_kept():
    wrong = np.linspace(0, 1, 30)[np.random.default_rng(0).permutation(30)]
    samples = [seg_sample(*maps(i, 12, 900, share)) for i, share in enumerate(wrong)]
    recorder = recorder_for(samples[0], CLASSES, ())
    records = [recorder.record([sample])[0] for sample in samples]
    kept = [i for i, record in enumerate(records) if 'maps' in record]
    order = np.argsort(wrong)
    assert sorted(kept) == sorted([*order[:EXAMPLES], *order[-EXAMPLES:]])
    maps_ = records[kept[0]]['maps']
    with Image.open(io.BytesIO(base64.b64decode(maps_['truth']))) as file:
        small = np.asarray(file)
    truth = maps(kept[0], 12, 900, 0)[0][1::2, 1::2]
    np.testing.assert_array_equal(small, np.where(truth == 255, len(CLASSES), truth))


def test_the_maps_of_300_classes_are_kept_and_drawn():
    """Labels from 256 on are no smaller ones, and class 255 is no ignored label in a prediction."""
    classes = [f'class {number}' for number in range(300)]
    predicted = np.array([3, 255, 259, 299]).repeat(16)[None].repeat(16, 0)
    truth = np.where(predicted == 259, 255, predicted)  # ignored
    summary = summary_of([seg_sample(truth, predicted)], (), classes)
    ((example,), _) = examples_of(summary)
    colours = class_colours(classes)
    for (_, shown), outside in zip(example.images, ((0, 0, 0), colours[259]), strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.split(',')[-1]))))
        found = pixels[8, [8, 24, 40, 56]]
        wanted = [colours[3], colours[255], outside, colours[299]]
        if outside == (0, 0, 0):
            wanted[1] = outside  # 255 is ignored in the truth
        np.testing.assert_allclose(found, wanted, atol=12)  # JPEG


def test_classification_equals_mmpretrain_and_sklearn():
    random = torch.Generator().manual_seed(0)
    classes = tuple('abcdefgh')
    scores = torch.rand(60, 8, generator=random).softmax(1)
    labels = torch.randint(0, 7, (60,), generator=random)  # h occurs nowhere
    scores[torch.arange(60), labels] += 0.1 * (torch.rand(60, generator=random) < 0.7)
    samples = [
        DataSample(metainfo={'ori_shape': (8, 8)}).set_pred_score(s).set_gt_label(int(label))
        for s, label in zip(scores, labels, strict=True)
    ]
    summary = summary_of(samples, [Accuracy()], classes)
    assert summary.results.task == 'classification'
    top = Accuracy.calculate(scores, labels, topk=(1, 5))
    assert summary.extra['top-1'] * 100 == pytest.approx(float(top[0][0]), rel=1e-6)
    assert summary.extra['top-5'] * 100 == pytest.approx(float(top[1][0]), rel=1e-6)
    precision, recall, f1, support = SingleLabelMetric.calculate(
        scores, labels, average=None, num_classes=8
    )[0]
    found, there = columns(summary), support > 0
    np.testing.assert_allclose(found['recall'][there] * 100, recall[there], rtol=1e-6)
    np.testing.assert_allclose(found['precision'][there] * 100, precision[there], rtol=1e-6)
    np.testing.assert_allclose(found['F1'][there] * 100, f1[there], rtol=1e-6)
    assert np.isnan(found['recall'][7])
    expected = confusion_matrix(labels, scores.argmax(1), labels=range(8))
    np.testing.assert_array_equal(summary.matrix[:8, :8], expected)


def test_several_labels_equal_mmpretrain():
    random = torch.Generator().manual_seed(0)
    scores, truth = torch.rand(40, 4, generator=random), torch.rand(40, 4, generator=random) < 0.3
    samples = [
        DataSample().set_pred_score(s).set_gt_label(row.nonzero().flatten())
        for s, row in zip(scores, truth, strict=True)
    ]
    summary = summary_of(samples, [AveragePrecision()])
    assert summary.results.task == 'multi-label'
    theirs = AveragePrecision.calculate(scores, truth.int(), average=None)
    np.testing.assert_allclose(columns(summary)['AP'] * 100, theirs, rtol=1e-5)


def square(x, y, side):
    return [x, y, x + side, y, x + side, y + side, x, y + side]


@pytest.fixture
def coco(tmp_path):
    """Two pictures; the categories stand in another order than those of the config."""
    boxes = [(10, 10, 20), (40, 30, 24), (5, 50, 12)]
    annotations = [
        dict(id=1 + i, image_id=i % 2, category_id=(9, 4)[i % 2], bbox=[x, y, s, s], area=s * s,
             iscrowd=int(i == 2), segmentation=[square(x, y, s)])
        for i, (x, y, s) in enumerate(boxes)
    ]  # fmt: skip
    annotations.append(dict(annotations[0], id=9, category_id=5))  # of no class
    path = tmp_path / 'truth.json'
    path.write_text(
        json.dumps(
            {
                'images': [dict(id=i, file_name=f'{i}.jpg', width=80, height=64) for i in (0, 1)],
                'categories': [dict(id=i, name=name) for i, name in ((9, 'b'), (4, 'a'), (5, 'x'))],
                'annotations': annotations,
            }
        )
    )
    return path


def det_sample(number, corners, labels, masks=None, **metainfo):
    sample = DetDataSample(metainfo={'img_id': number, 'ori_shape': (64, 80), **metainfo})
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
        scores=torch.linspace(0.9, 0.4, len(labels)),
        labels=torch.tensor(labels, dtype=torch.int64),
    )
    if masks is not None:
        sample.pred_instances.masks = masks
    return sample


def test_boxes_and_masks_equal_coco_metric(coco):
    """Masks that are half of their boxes have other numbers than the boxes."""
    metric = CocoMetric(str(coco), metric=['bbox', 'segm'], classwise=True)
    metric.dataset_meta = {'classes': ('a', 'b')}
    corners = [[10.3, 10, 30, 31], [40, 30, 64.2, 54]]
    masks = torch.zeros(2, 64, 80, dtype=torch.bool)
    masks[0, 10:31, 10:27], masks[1, 30:54, 40:60] = True, True
    samples = [
        det_sample(0, corners[:1], [0], masks[:1]),
        det_sample(1, [corners[1], [0, 0, 9, 9]], [1, 0], masks[[1, 1]]),
    ]
    recorder = recorder_for(samples[0], ('a', 'b'), [metric])
    assert recorder.classes == ['b', 'a']  # the file's order
    metric.process({}, [sample.to_dict() for sample in samples])
    records = recorder.record(samples)
    assert records[0]['truth_labels'] == [0, 0]
    assert records[0]['truth_crowd'] == [0, 1]
    results = Results(task='detection', classes=recorder.classes, metrics={}, pictures=records)
    summary = summarize(results)
    theirs = metric.evaluate(2)
    found = columns(summary)
    assert summary.extra['AP'] == pytest.approx(theirs['coco/bbox_mAP'], abs=6e-4)
    assert summary.extra['mask AP'] == pytest.approx(theirs['coco/segm_mAP'], abs=6e-4)
    assert found['AP'][0] != found['mask AP'][0]
    (first, _) = pictures_of(records, 'segm')
    expected = mask_utils.iou(
        [mask_utils.encode(np.asfortranarray(masks[0].numpy().astype(np.uint8)))],
        [metric._coco_api.annToRLE(metric._coco_api.anns[i]) for i in (1, 3)],
        [0, 1],
    )
    np.testing.assert_allclose(first.ious, expected)
    assert first.areas.tolist() == [21 * 17]


@pytest.mark.parametrize('kinds', [['bbox'], ['bbox', 'segm']])
@pytest.mark.parametrize('bare', [0, 1])
def test_a_picture_without_boxes(coco, kinds, bare):
    """Whichever it is; an early epoch finds nothing on many pictures."""
    metric = CocoMetric(str(coco), metric=kinds)
    metric.dataset_meta = {'classes': ('a', 'b')}
    corners = [[[10, 10, 30, 31]], [[40, 30, 64, 54]]]
    corners[bare] = []
    samples = [
        det_sample(i, corners[i], [i] * len(corners[i]), torch.ones(len(corners[i]), 64, 80) > 0)
        for i in range(2)
    ]
    metric.process({}, [sample.to_dict() for sample in samples])
    summary = summary_of(samples, [metric], ('a', 'b'))
    theirs = metric.evaluate(2)
    assert summary.extra['AP'] == pytest.approx(theirs['coco/bbox_mAP'], abs=6e-4)
    assert 0 < summary.extra['AP'] < 1
    assert [len(p['boxes']) for p in summary.results.pictures] == [len(c) for c in corners]


def test_boxes_without_a_coco_file_have_the_truth_of_the_pipeline():
    sample = det_sample('x', [[1, 2, 11, 22]], [1], img_path='a.jpg')
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[1.0, 2, 11, 22]]), labels=torch.tensor([1])
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 5, 5]]), labels=torch.tensor([0])
    )
    (record,) = recorder_for(sample, ('a', 'b'), ()).record([sample])
    assert record['truth_boxes'] == [[1, 2, 10, 20], [0, 0, 5, 5]]
    assert record['truth_labels'] == [1, 0]
    assert record['truth_crowd'] == [0, 1]
    assert record['truth_areas'] == [200, 25]


def test_other_outputs_and_boxes_of_five_numbers_are_refused():
    with pytest.raises(ValueError, match='DetDataSample'):
        recorder_for(DetDataSample(), ('a',), ())
    sample = det_sample(0, [], [])
    sample.pred_instances = InstanceData(
        bboxes=torch.zeros(1, 5), scores=torch.ones(1), labels=torch.zeros(1)
    )
    with pytest.raises(ValueError, match='5'):
        recorder_for(sample, ('a',), ()).record([sample])


def test_boxes_keep_their_value():
    """As float32: shortest decimals there, the same bits back."""
    values = np.random.default_rng(0).uniform(0, 2000, (50, 4)).astype(np.float32)
    values[:, 2:] += values[:, :2]
    sample = det_sample(0, values, [0] * 50)
    (record,) = recorder_for(sample, ('a',), ()).record([sample])
    (picture,) = pictures_of(json.loads(to_json([record])))
    np.testing.assert_array_equal(picture.boxes.astype(np.float32), values)
