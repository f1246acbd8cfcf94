"""Panoptic segmentors: segments of whole pictures, and objects with scores beside them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from PIL import Image

from tests.conftest import ROOT
from tnt_backbone import load_model
from tnt_backbone.cli import predict
from tnt_backbone.predict.panoptic import segments_of

SCENE = ROOT / 'docs/images/scene.jpg'  # 128 x 128
CLASSES = ('thing', 'other thing', 'sky', 'grass')
TINY = {'depth': 2, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 48, 'sentence_heads': 3}


def write(name, folder):
    """Write a checkpoint of a config with few weights, two things and two kinds of stuff."""
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    model = cfg.model
    model.backbone.update(arch={**TINY, 'mlp_ratio': 2.0}, init_cfg=None, taps=(0, 0, 1, 1))
    cfg.test_dataloader.dataset.pipeline[1].scale = (128, 128)
    cfg.test_dataloader.dataset.metainfo = {
        'classes': CLASSES, 'thing_classes': CLASSES[:2], 'stuff_classes': CLASSES[2:],
    }  # fmt: skip
    counts = {'num_things_classes': 2, 'num_stuff_classes': 2}
    model.panoptic_fusion_head.update(counts)
    with DefaultScope.overwrite_default_scope('mmdet'):
        widths = list(MODELS.build(model.backbone).out_channels)
    if 'roi_head' in model:
        model.neck.in_channels = widths
        model.semantic_head.update(counts)
        for head in (model.roi_head.bbox_head, model.roi_head.mask_head):
            head.num_classes = 2
        model.test_cfg.rpn.max_per_img = 20
        model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
        model.test_cfg.panoptic.update(score_thr=0.0, stuff_area_limit=1)
    else:
        model.panoptic_head.update(in_channels=widths, num_queries=20, **counts)
        model.panoptic_head.loss_cls.class_weight = [1.0] * 4 + [0.1]
        model.test_cfg.instance_on = False  # as in MaskFormer's own configs
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        state = MODELS.build(model).state_dict()
    path = folder / f'{name}.pth'
    torch.save({'meta': {'cfg': cfg.pretty_text}, 'state_dict': state}, path)
    return path


def sample_of(ids):
    return DetDataSample(pred_panoptic_seg=PixelData(sem_seg=torch.tensor(ids)[None]))


def test_segments_are_numbered_and_pixels_of_none_are_0():
    """MMDetection: class + 1000 * object; stuff is object 0, and 4 (no class) is no segment."""
    ids = np.array([[1001, 1001, 4], [2000, 3, 4], [2000, 3, 2001]])
    segments = segments_of(sample_of(ids), 4)
    expected = {1001: (1, True), 2000: (0, True), 3: (3, False), 2001: (1, True), 4: None}
    for theirs, found in expected.items():
        (number,) = np.unique(segments.ids[ids == theirs])
        if found is None:
            assert number == 0
        else:
            assert (segments.labels[number - 1], segments.is_thing[number - 1]) == found
    listed = segments.to_json(CLASSES)
    assert [entry['id'] for entry in listed] == [1, 2, 3, 4]
    assert {(e['category'], e['isthing'], e['area']) for e in listed} == {
        ('other thing', 1, 2), ('thing', 1, 2), ('grass', 0, 2), ('other thing', 1, 1),
    }  # fmt: skip
    assert all(CLASSES[entry['category_id'] - 1] == entry['category'] for entry in listed)


def test_the_picture_of_many_segments():
    ids = np.arange(70_000).reshape(200, 350)
    segments = segments_of(sample_of(ids * 1000), 4)
    red, green, blue = np.moveaxis(np.asarray(segments.to_image(), np.int64), -1, 0)
    np.testing.assert_array_equal(red + 256 * green + 65536 * blue, segments.ids)
    assert segments.ids.max() == 70_000


def test_other_detectors_have_none():
    assert segments_of(DetDataSample(), 4) is None


def test_panoptic_fpn(tmp_path):
    """Segments are those of MMDetection's own model; objects are those that it merges."""
    path = write('panoptic_fpn_tnt_s_coco', tmp_path)
    ours = load_model(path, device='cpu')
    result = ours.predict(SCENE, score=0.0)

    with DefaultScope.overwrite_default_scope('mmdet'):
        theirs = MODELS.build(ours.cfg.model).eval()
    theirs.load_state_dict(ours.model.state_dict())
    merged = []
    fuse = theirs.panoptic_fusion_head.predict
    theirs.panoptic_fusion_head.predict = lambda objects, stuff: (
        merged.extend(objects) or fuse(objects, stuff)
    )
    data = ours.prepare(SimpleNamespace(name='scene.jpg', path=str(SCENE), pixels=None))
    batch = {key: [value] for key, value in data.items()}
    with torch.no_grad():
        (sample,) = theirs.test_step(batch)
    assert 'pred_instances' not in sample
    expected = segments_of(sample, 4)
    np.testing.assert_array_equal(result.segments.ids, expected.ids)
    np.testing.assert_array_equal(result.segments.labels, expected.labels)
    assert result.segments.is_thing.any()
    assert not result.segments.is_thing.all()
    (objects,) = merged
    order = objects.scores.argsort(descending=True, stable=True)
    assert len(order) > 0
    np.testing.assert_array_equal(result.boxes, objects.bboxes[order])
    np.testing.assert_array_equal(result.scores, objects.scores[order])
    np.testing.assert_array_equal(result.masks, objects.masks[order])
    assert result.draw().shape == (128, 128, 3)


def test_mask_classifiers_return_objects_and_are_drawn_without_segments(tmp_path):
    model = load_model(write('mask2former_tnt_s_coco', tmp_path), device='cpu')
    result = model.predict(SCENE, score=0.0)
    assert len(result.scores)
    assert not result.segments.ids.any()  # random weights are certain of nothing
    model.classes += ('a name that the model does not use',)
    assert not model.predict(SCENE, score=0.0).segments.ids.any()
    assert result.draw().shape == (128, 128, 3)
    model.model.panoptic_fusion_head.test_cfg.update(object_mask_thr=0.0, iou_thr=0.0)
    segments = model.predict(SCENE, score=0.0).segments
    assert set(np.unique(segments.ids)) - {0} == set(range(1, len(segments.labels) + 1))


@pytest.mark.parametrize('flag', [[], ['--no-pictures']])
def test_the_command_writes_cocos_form(tmp_path, flag):
    path = write('panoptic_fpn_tnt_s_coco', tmp_path)
    out = tmp_path / 'out'
    predict.main([str(path), str(SCENE), '--out', str(out), '--score', '0', *flag])
    result = load_model(path, device='cpu').predict(SCENE, score=0.0)
    (entry,) = json.loads((out / 'panoptic.json').read_text())['annotations']
    assert entry['picture'] == 'scene.jpg'
    assert entry['segments_info'] == result.segments.to_json(CLASSES)
    pixels = np.asarray(Image.open(out / 'panoptic' / entry['file_name']), np.int64)
    np.testing.assert_array_equal(pixels @ [1, 256, 65536], result.segments.ids)
    assert len(json.loads((out / 'predictions.json').read_text())) == len(result.scores)
