"""Vectors by value: means taken by hand, and mmcv's RoIAlign."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmcv.ops import RoIAlign

from tnt_backbone.look.boxes_file import Boxes, read_boxes
from tnt_backbone.look.embed import _of_picture, embed
from tnt_backbone.look.network_input import network_input
from tnt_backbone.predict.pictures import UnreadablePictureError, find_pictures

BOXES = np.array([[8, 8, 72, 40], [0, 0, 128, 96], [100, 90, 101, 91]], np.float32)


@pytest.fixture
def model(model_of):
    return model_of('detection')


@pytest.fixture
def pictures(data):
    return find_pictures([data / 'val'])


def outputs_of(model, picture):
    seen = network_input(model, picture)
    with torch.no_grad():
        return model.model.backbone(seen.tensor), seen


def test_a_picture_is_the_mean_of_the_cells_that_show_it(model, pictures):
    entries = list(embed(model, pictures, batch_size=3))
    assert [entry.name for entry in entries] == [picture.name for picture in pictures]
    for picture, entry in zip(pictures, entries, strict=True):
        outputs, seen = outputs_of(model, picture)
        stride = model.model.backbone.out_strides[-1]
        rows, columns = (-(-side // stride) for side in seen.content)
        mean = outputs[-1][0, :, :rows, :columns].mean((1, 2))
        np.testing.assert_allclose(entry.vectors, mean[None], rtol=1e-4, atol=1e-5)
        assert entry.boxes is None
    finest = next(embed(model, pictures, level=0))
    whole = outputs_of(model, pictures[0])[0][0][0].mean((1, 2))
    np.testing.assert_allclose(finest.vectors[0], whole, rtol=1e-4, atol=1e-5)


def test_boxes_are_pooled_as_mmcv_does(model, pictures):
    boxes = Boxes(BOXES, np.ones(3, np.float32), ('a', 'b', 'c'))
    first, second, *_ = embed(model, pictures[:2], boxes={pictures[0].name: boxes})
    assert second.vectors.shape == (0, first.vectors.shape[1])
    outputs, seen = outputs_of(model, pictures[0])
    scale = seen.content[1] / 128
    stride = model.model.backbone.out_strides[0]
    align = RoIAlign(1, 1 / stride, sampling_ratio=0, pool_mode='avg', aligned=True)
    rois = torch.cat((torch.zeros(3, 1), torch.from_numpy(BOXES) * scale), dim=1)
    expected = align(outputs[0], rois).flatten(1)
    np.testing.assert_allclose(first.vectors, expected, rtol=1e-4, atol=1e-5)
    # a box of whole cells is their mean
    box = np.array([[0, 0, 4 * stride / scale, 2 * stride / scale]], np.float32)
    (entry,) = embed(model, pictures[:1], boxes={pictures[0].name: Boxes(box, box[0, :1], ('a',))})
    mean = outputs[0][0, :, :2, :4].mean((1, 2))
    np.testing.assert_allclose(entry.vectors[0], mean, rtol=1e-4, atol=1e-5)


def test_objects_are_those_that_predict_finds(model, pictures, data):
    found = model.predict(data / 'val/0.jpg', score=0.0)
    limit = float(found.scores[4])
    entries = list(embed(model, pictures[:2], objects=True, score=limit, batch_size=2))
    mine = entries[0].boxes
    np.testing.assert_array_equal(mine.boxes, found.boxes[found.scores >= limit])
    np.testing.assert_array_equal(mine.scores, found.scores[found.scores >= limit])
    (again,) = embed(model, pictures[:1], boxes={pictures[0].name: mine})
    np.testing.assert_allclose(again.vectors, entries[0].vectors, rtol=1e-4, atol=1e-5)
    name = found.names[0]
    (chosen,) = embed(model, pictures[:1], objects=True, score=limit, classes=[name])
    assert set(chosen.boxes.names) == {name}


def test_a_classifier_gives_its_vector(model_of, data, monkeypatch):
    model = model_of('classification')
    pictures = find_pictures([data / 'classification/val'])[:3]
    outputs = [outputs_of(model, picture)[0][-1][0] for picture in pictures]
    entries = list(embed(model, pictures, batch_size=3))
    for entry, output in zip(entries, outputs, strict=True):
        np.testing.assert_allclose(entry.vectors[0], output.mean((1, 2)), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r'--objects.*classification.*--boxes'):
        embed(model, pictures, objects=True)


def test_what_cannot_be_pooled_is_refused_at_once(model, pictures, monkeypatch):
    with pytest.raises(ValueError, match=r'--level 9\b.*0 to 1'):
        embed(model, pictures, level=9)
    with pytest.raises(ValueError, match='--objects and --boxes'):
        embed(model, pictures, objects=True, boxes={})
    plan = model.model.backbone.plan
    for kind, options in (('raw', {}), ('cls_token', {'boxes': {}})):
        monkeypatch.setitem(plan.__dict__, 'out_type', kind)
        with pytest.raises(ValueError, match=rf'{kind}.*featmap'):
            embed(model, pictures, **options)


@pytest.mark.parametrize('meta', [{'img_shape': (64, 64)}, {'flip': True}], ids=str)
def test_boxes_in_cut_or_flipped_pictures_are_refused(model, pictures, monkeypatch, meta):
    transform = model.prepare.transform

    def changed(results):
        data = transform(results)
        data['data_samples'].set_metainfo(meta)
        return data

    monkeypatch.setattr(model.prepare, 'transform', changed)
    boxes = {pictures[0].name: Boxes(BOXES, np.ones(3, np.float32), ('a',) * 3)}
    with pytest.raises(ValueError, match='--config'):
        next(embed(model, pictures, boxes=boxes))


def test_damaged_pictures_are_passed_on(model, pictures, tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    damaged = find_pictures([tmp_path])
    first, second = embed(model, [*damaged, pictures[0]], batch_size=2)
    assert isinstance(first, UnreadablePictureError)
    assert second.name == pictures[0].name


def test_files_of_boxes(tmp_path):
    coco = {
        'images': [{'id': 7, 'file_name': 'a/b.jpg'}, {'id': 8, 'file_name': 'c.jpg'}],
        'categories': [{'id': 3, 'name': 'cat'}],
        'annotations': [
            {'image_id': 7, 'category_id': 3, 'bbox': [1, 2, 3, 4]},
            {'image_id': 7, 'category_id': 3, 'bbox': [0, 0, 9, 9], 'iscrowd': 1},
        ],
    }
    predictions = [{'file_name': 'a/b.jpg', 'category': 'cat', 'bbox': [1, 2, 3, 4], 'score': 0.5}]
    for content, score in ((coco, 1.0), (predictions, 0.5)):
        path = tmp_path / 'boxes.json'
        path.write_text(json.dumps(content))
        found = read_boxes(path)
        assert list(found) == ['a/b.jpg']
        assert found['a/b.jpg'].boxes.tolist() == [[1, 2, 4, 6]]
        assert found['a/b.jpg'].scores.tolist() == [score]
        assert found['a/b.jpg'].names == ('cat',)
    coco['annotations'][0]['bbox'] = [1, 2, 0, 4]
    path.write_text(json.dumps(coco))
    with pytest.raises(ValueError, match=r'a/b\.jpg.*\[1, 2, 0, 4\]'):
        read_boxes(path)
    for wrong in ('[1]', '{"images": []}', '{', '"text"'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r'boxes\.json.*predictions\.json'):
            read_boxes(path)
    with pytest.raises(FileNotFoundError, match=r'none\.json'):
        read_boxes(tmp_path / 'none.json')


def test_boxes_of_a_picture_of_another_size_are_not_pooled(model, pictures, tmp_path):
    """As of pictures that were resized since, or that EXIF turns: the boxes lie elsewhere."""
    height, width = cv2.imread(pictures[0].path).shape[:2]
    assert height != width
    for size, fits in (((height, width), True), ((width, height), False), ((0, 0), True)):
        image = {'id': 1, 'file_name': pictures[0].name, 'height': size[0], 'width': size[1]}
        box = {'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 30, 40]}
        coco = {'images': [image], 'annotations': [box], 'categories': [{'id': 1, 'name': 'cat'}]}
        (tmp_path / 'boxes.json').write_text(json.dumps(coco))
        (entry,) = embed(model, pictures[:1], boxes=read_boxes(tmp_path / 'boxes.json'))
        assert isinstance(entry, UnreadablePictureError) != fits
        sizes = (f'{height}x{width}', f'{width}x{height}', pictures[0].path)
        assert fits or all(text in str(entry) for text in sizes)


def test_cells_of_the_padding_do_not_count():
    features = torch.arange(2 * 4 * 6.0).reshape(2, 4, 6)  # 64 x 96 pixels at stride 16
    found = _of_picture(features, (20, 40), 16)
    np.testing.assert_allclose(found, features[:, :2, :3].mean((1, 2)))
    assert abs(found[0] - float(features[0].mean())) > 1
