"""Predictions as labels: read back by COCO's own tool, and by YOLO's rule."""

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tnt_backbone.errors import InputError
from tnt_backbone.predict.labels import write_labels

LINES = [
    {
        'name': 'sub/a.jpg',
        'height': 50,
        'width': 100,
        'predictions': [
            {'file_name': 'sub/a.jpg', 'category_id': 2, 'category': 'dog: "big"',
             'bbox': [10, 20, 30, 10], 'score': 0.5},
        ],
    },
    {'name': 'b.png', 'height': 8, 'width': 8, 'predictions': []},
]  # fmt: skip
CLASSES = ('cat', 'dog: "big"')


def test_coco(tmp_path):
    coco = COCO(str(write_labels('coco', LINES, CLASSES, tmp_path)))
    assert [coco.cats[i]['name'] for i in (1, 2)] == list(CLASSES)
    assert [image['file_name'] for image in coco.imgs.values()] == ['sub/a.jpg', 'b.png']
    (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert (annotation['category_id'], annotation['bbox']) == (2, [10, 20, 30, 10])
    assert coco.getAnnIds(imgIds=2) == []


def test_yolo(tmp_path):
    root = write_labels('yolo', LINES, CLASSES, tmp_path)
    assert yaml.safe_load((root / 'data.yaml').read_text()) == {'names': list(CLASSES)}
    number, *shares = map(float, (root / 'sub/a.txt').read_text().split())
    assert number == 1
    assert shares == pytest.approx([0.25, 0.5, 0.3, 0.2])
    assert (root / 'b.txt').read_text() == ''


@pytest.mark.parametrize('form', ['coco', 'yolo'])
def test_labels_that_were_corrected_are_kept(tmp_path, form):
    write_labels(form, LINES[:1], CLASSES, tmp_path)
    write_labels(form, LINES, CLASSES, tmp_path)  # one picture more: nothing is lost
    file = tmp_path / {'coco': 'labels_coco.json', 'yolo': 'labels_yolo/sub/a.txt'}[form]
    predicted = file.read_text()
    corrected = predicted.replace('30', '31')  # the width
    assert corrected != predicted
    file.write_text(corrected)
    with pytest.raises(FileExistsError, match=r'labels_.*1 pictures \(sub/a\.'):
        write_labels(form, LINES, CLASSES, tmp_path)
    assert file.read_text() == corrected
    file.write_text('mine')
    with pytest.raises(FileExistsError, match='labels_'):
        write_labels(form, LINES, CLASSES, tmp_path)
    write_labels(form, LINES, CLASSES, tmp_path, force=True)
    assert file.read_text() == predicted


def test_boxes_end_at_the_borders(tmp_path):
    """Some detectors find boxes that reach beyond. YOLO's tools leave out such a picture."""
    boxes = [[-10, 20, 40, 40], [90, -5, 20, 15], [-20, 5, 10, 10]]
    entries = [dict(LINES[0]['predictions'][0], bbox=box) for box in boxes]
    line = dict(LINES[0], predictions=entries)
    coco = COCO(str(write_labels('coco', [line], CLASSES, tmp_path)))
    found = [(entry['bbox'], entry['area']) for entry in coco.loadAnns(coco.getAnnIds())]
    assert found == [([0, 20, 30, 30], 900), ([90, 0, 10, 10], 100)]
    root = write_labels('yolo', [line], CLASSES, tmp_path)
    rows = [row.split()[1:] for row in (root / 'sub/a.txt').read_text().splitlines()]
    np.testing.assert_allclose(
        np.array(rows, float), [[0.15, 0.7, 0.3, 0.6], [0.95, 0.1, 0.1, 0.2]]
    )


def line_of(mask, name='a.jpg'):
    rle = coco_mask.encode(np.asfortranarray(mask))
    entry = {
        'file_name': name,
        'category_id': 1,
        'category': 'cat',
        'score': 0.5,
        'bbox': coco_mask.toBbox(rle).tolist(),
        'segmentation': {'size': rle['size'], 'counts': rle['counts'].decode()},
    }
    height, width = mask.shape
    return {'name': name, 'height': height, 'width': width, 'predictions': [entry]}  # fmt: skip


@pytest.mark.parametrize('seed', range(8))
def test_masks_are_drawn_again_from_yolos_polygons_pixel_for_pixel(tmp_path, seed):
    """Several parts of any shape; holes are lost, as YOLO has no word for them."""
    random = np.random.default_rng(seed)
    mask = np.zeros((37, 52), np.uint8)
    for _ in range(6):
        centre = (int(random.integers(52)), int(random.integers(37)))
        cv2.circle(mask, centre, int(random.integers(0, 9)), 1, -1)
    parts, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), parts, -1, 1, -1)
    root = write_labels('yolo', [line_of(mask)], CLASSES, tmp_path)
    number, *shares = map(float, (root / 'a.txt').read_text().split())
    assert number == 0
    polygon = (np.reshape(shares, (-1, 2)) * [52, 37]).round(3)
    (found,) = coco_mask.frPyObjects([polygon.ravel().tolist()], 37, 52)
    np.testing.assert_array_equal(coco_mask.decode(found), filled)


def test_the_area_of_a_mask_is_its_own(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[2:12, 2] = mask[2, 2:12] = 1  # an angle, whose box has 100 pixels
    coco = COCO(str(write_labels('coco', [line_of(mask)], CLASSES, tmp_path)))
    assert [entry['area'] for entry in coco.anns.values()] == [19]
    np.testing.assert_array_equal(coco.annToMask(coco.anns[1]), mask)


def test_objects_without_a_pixel_are_no_labels(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('tnt_backbone.predict.labels.log', lambda text, _: said.append(text))
    line = line_of(np.eye(4, dtype=np.uint8)[:, ::2])
    (whole,) = line['predictions']
    empty = line_of(np.zeros((4, 2), np.uint8))['predictions'][0] | {'bbox': [0, 0, 2, 2]}
    flat = {key: value for key, value in whole.items() if key != 'segmentation'}
    line['predictions'] = [empty, whole, flat | {'bbox': [0, 0, 2, 0]}]
    coco = COCO(str(write_labels('coco', [line], CLASSES, tmp_path)))
    assert [coco.annToMask(entry).sum() for entry in coco.anns.values()] == [2]
    rows = (write_labels('yolo', [line], CLASSES, tmp_path) / 'a.txt').read_text().splitlines()
    assert [len(row.split()) > 5 for row in rows] == [True]
    assert [text.split()[0] for text in said] == ['2', '2']


def test_two_pictures_of_one_yolo_file_are_refused(tmp_path):
    lines = [{**LINES[0], 'name': name} for name in ('a.jpg', 'b/a.jpg', 'a.png')]
    with pytest.raises(InputError, match=r'a\.jpg and a\.png.*a\.txt.*--as coco'):
        write_labels('yolo', lines, CLASSES, tmp_path)


def test_nothing_is_written_outside_the_folder(tmp_path):
    lines = [{**LINES[0], 'name': name} for name in ('../../x.jpg', '/y.jpg')]
    root = write_labels('yolo', lines, CLASSES, tmp_path / 'deep' / 'deeper')
    assert sorted(path.name for path in tmp_path.rglob('*.txt')) == ['x.txt', 'y.txt']
    assert sorted(path.name for path in root.iterdir()) == ['data.yaml', 'x.txt', 'y.txt']
