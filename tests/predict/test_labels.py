"""Predictions as labels: read back by COCO's own tool, and by YOLO's rule."""

import pytest
import yaml
from pycocotools.coco import COCO

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
