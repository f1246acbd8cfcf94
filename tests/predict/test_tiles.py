"""Large pictures in tiles: boxes where the digits are, label maps like the sliding window's."""

import json
import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image
from torchvision.ops import box_iou

from tnt_backbone import load_model
from tnt_backbone.demo.dataset import make_dataset
from tnt_backbone.predict.pictures import Picture
from tnt_backbone.predict.results import Detection
from tnt_backbone.predict.tiles import detect_in_tiles, require_sahi


def test_a_detector_finds_in_tiles_what_it_finds_in_scenes(tmp_path):
    pytest.importorskip('sahi', reason='sahi is an extra')
    make_dataset(tmp_path / 'data', train=1, val=4)
    content = json.loads((tmp_path / 'data/annotations/instances_val.json').read_text())
    scenes = [np.asarray(Image.open(tmp_path / f'data/val/{i:06d}.jpg')) for i in range(4)]
    side = scenes[0].shape[0]
    picture = np.concatenate(
        [np.concatenate(scenes[:2], axis=1), np.concatenate(scenes[2:], axis=1)]
    )[..., ::-1]
    numbers = {image['id']: i for i, image in enumerate(content['images'])}
    names = {entry['id']: entry['name'] for entry in content['categories']}
    truth, kinds = [], []
    for entry in content['annotations']:
        i = numbers[entry['image_id']]
        x, y, w, h = entry['bbox']
        left, top = x + side * (i % 2), y + side * (i // 2)
        truth.append([left, top, left + w, top + h])
        kinds.append(names[entry['category_id']])

    model = load_model('tnt://digits')
    before = dict(os.environ)
    result = model.predict(picture, tiles=side, score=0.5)
    assert dict(os.environ) == before  # sahi would hide the GPUs
    assert (result.height, result.width) == picture.shape[:2]
    overlap = box_iou(torch.tensor(truth).float(), torch.from_numpy(result.boxes))
    found = [
        result.names[int(row.argmax())] == kind and float(row.max()) > 0.5
        for row, kind in zip(overlap, kinds, strict=True)
    ]
    assert sum(found) >= len(truth) - 2
    assert len(result.boxes) <= len(truth) + 2
    assert result.draw().shape == picture.shape


def islands(pixels):
    """Find the parts of a picture that touch nothing else, each as one object with its mask."""
    height, width, _ = pixels.shape
    number, parts = cv2.connectedComponents((pixels[..., 0] > 0).astype(np.uint8), connectivity=8)
    masks = np.array([parts == i for i in range(1, number)]).reshape(-1, height, width)
    boxes = [box_around(mask) for mask in masks]
    return Detection(
        name='', height=height, width=width, classes=('cat',), palette=(), _pixels='', _sample=None,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(number - 1, 0.5, np.float32), labels=np.zeros(number - 1, int), masks=masks,
    )  # fmt: skip


def box_around(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize('seed', range(8))
def test_objects_on_borders_come_once_with_all_their_pixels(seed):
    pytest.importorskip('sahi', reason='sahi is an extra')
    rng = np.random.default_rng(seed)
    height, width = rng.integers(80, 260, 2)
    pixels = np.zeros((height, width, 3), np.uint8)
    for _ in range(12):  # frames with a hole, thin lines, full boxes
        top, left = rng.integers(0, (height - 4, width - 4))
        bottom, right = rng.integers((top, left), (top + 39, left + 39)) + 1
        if not pixels[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2].any():
            pixels[top:bottom, left:right] = 255
            if rng.random() < 0.5:
                pixels[top + 2 : bottom - 2, left + 2 : right - 2] = 0
    expected = islands(pixels)
    assert len(expected.boxes) > 3
    found = detect_in_tiles(islands, pixels, 64, 0.3)

    def sorted_by_box(boxes, masks):
        return sorted(zip(boxes.tolist(), (mask.tobytes() for mask in masks), strict=True))

    masks = found.masks.numpy()
    assert sorted_by_box(found.bboxes, masks) == sorted_by_box(expected.boxes, expected.masks)


def test_other_classes_and_neighbours_stay_apart():
    pytest.importorskip('sahi', reason='sahi is an extra')
    boxes = np.array([[10, 10, 30, 30], [10, 10, 30, 30], [28, 10, 48, 30]], np.float32)

    def detect(pixels):
        number = 3 if pixels.shape[1] == 100 else 0
        return Detection(
            name='', height=64, width=100, classes=('cat', 'dog'), palette=(), _pixels='',
            _sample=None, boxes=boxes[:number], scores=np.array([0.9, 0.8, 0.7], 'f')[:number],
            labels=np.array([0, 1, 0])[:number], masks=None,
        )  # fmt: skip

    for score in (0.3, 0.0):
        found = detect_in_tiles(detect, np.zeros((64, 100, 3), np.uint8), 64, score)
        entries = zip(found.bboxes.tolist(), found.labels.tolist(), strict=True)
        wanted = zip(boxes.tolist(), [0, 1, 0], strict=True)
        assert sorted(entries) == sorted(wanted)


def bright(pixels):
    """Find the bright part of a picture, as one object."""
    rows, columns = np.nonzero(pixels[..., 0])
    boxes = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else []
    number, (height, width, _) = len(boxes), pixels.shape
    return Detection(
        name='', height=height, width=width, classes=('cat',), palette=(), _pixels='', _sample=None,
        boxes=np.array(boxes, np.float32).reshape(-1, 4), scores=np.full(number, 0.5, np.float32),
        labels=np.zeros(number, int), masks=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ('score', 'boxes'), [(0.3, [[40, 10, 90, 20]]), (0.0, [[40, 10, 90, 20], [40, 10, 64, 20]])]
)
def test_parts_of_an_object_are_merged(score, boxes, caplog, capfd):
    """The first tile ends at 64, the second begins at 36. sahi has nothing to say of it."""
    pytest.importorskip('sahi', reason='sahi is an extra')
    pixels = np.zeros((64, 100, 3), np.uint8)
    pixels[10:20, 40:90] = 200
    found = detect_in_tiles(bright, pixels, 64, score)
    assert sorted(found.bboxes.tolist(), reverse=True, key=lambda box: box[2]) == boxes
    assert (caplog.text, *capfd.readouterr()) == ('', '', '')


def test_a_picture_that_fits_into_a_tile_is_predicted_as_it_is(make_checkpoint):
    pytest.importorskip('sahi', reason='sahi is an extra')
    model = load_model(make_checkpoint('detection')[0])
    pixels = np.random.default_rng(1).integers(0, 256, (64, 60, 3), dtype=np.uint8)
    whole, tiled = (model.predict(pixels, score=0.5, tiles=tiles) for tiles in (None, 64))
    assert len(whole.boxes) > 1
    np.testing.assert_array_equal(tiled.boxes, whole.boxes)


def test_a_segmentor_slides(make_checkpoint):
    path, _ = make_checkpoint('segmentation')
    model = load_model(path)
    pixels = np.random.default_rng(1).integers(0, 256, (160, 192, 3), dtype=np.uint8)
    labels = model.predict(pixels, tiles=64).labels
    network = load_model(path).model
    network.test_cfg.update(mode='slide', crop_size=(64, 64), stride=(51, 51))
    data = model.prepare(Picture('a', '', pixels))
    with torch.no_grad(), DefaultScope.overwrite_default_scope('mmseg'):
        (sample,) = network.test_step({key: [value] for key, value in data.items()})
    np.testing.assert_array_equal(labels, sample.pred_sem_seg.data[0])
    assert (labels != load_model(path).predict(pixels).labels).any()
    # the next picture is taken whole again
    np.testing.assert_array_equal(
        model.predict(pixels).labels, load_model(path).predict(pixels).labels
    )


def test_what_tiles_cannot_do_is_said(make_checkpoint, monkeypatch):
    pixels = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match='tiles=64'):
        load_model(make_checkpoint('classification')[0]).predict(pixels, tiles=64)
    with pytest.raises(ValueError, match='tiles=8'):
        load_model('tnt://digits').predict(pixels, tiles=8)
    monkeypatch.setattr('tnt_backbone.predict.tiles.find_spec', lambda _: None)
    with pytest.raises(ImportError, match='sahi'):
        require_sahi()
