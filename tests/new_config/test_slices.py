"""Slices of a data set: each box and mask against the colour under it."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmdet.datasets import CocoDataset
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.new_config.slices import LEAST_SHARE, cut_box, slice_file

pytest.importorskip('sahi', reason='an extra')
SIDE = 64
# (x, y, width, height) of filled ellipses; an object's colour is its number times 10
OBJECTS = [(30, 20, 60, 40), (100, 70, 40, 20), (5, 5, 20, 10), (120, 30, 12, 30)]


@pytest.fixture
def data(tmp_path):
    """A picture of 150 x 100 pixels; its masks are a polygon and run lengths."""
    image = np.zeros((100, 150, 3), np.uint8)
    boxes = []
    for number, (x, y, width, height) in enumerate(OBJECTS, 1):
        mask = np.zeros((100, 150), np.uint8)
        centre, axes = (x + width // 2, y + height // 2), (width // 2 - 1, height // 2 - 1)
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
        image[mask > 0] = number * 10
        runs = coco_masks.encode(np.asfortranarray(mask))
        box = coco_masks.toBbox(runs).tolist()
        segmentation = {'size': [100, 150], 'counts': runs['counts'].decode()}
        if number == 1:  # a square of whole pixels, so that a polygon is exact
            image[mask > 0] = 0
            image[y : y + height, x : x + width] = 10
            box = [x, y, width, height]
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            segmentation = [corners]
        boxes.append(
            {
                'id': number,
                'image_id': 7,
                'category_id': 3,
                'bbox': box,
                'area': float((image[..., 0] == number * 10).sum()),
                'iscrowd': int(number == 2),
                'segmentation': segmentation,
                'track': number,
            }
        )
    (tmp_path / 'images/a').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'images/a/b.c.png'), image)
    content = {
        'images': [{'id': 7, 'file_name': 'a/b.c.png', 'width': 150, 'height': 100}],
        'annotations': boxes,
        'categories': [{'id': 3, 'name': 'disc'}],
    }
    (tmp_path / 'all.json').write_text(json.dumps(content))
    return tmp_path, image


def test_every_mask_and_box_fits_what_the_slice_shows(data):
    root, image = data
    path, text = slice_file(read_coco(root / 'all.json'), root / 'images', root / 'out', SIDE)
    assert str(path) in text
    coco = COCO(path)
    seen = np.zeros(image.shape[:2], bool)
    shown = dict.fromkeys(range(1, 5), 0)
    for entry in coco.imgs.values():
        pixels = cv2.imread(str(root / 'out' / entry['file_name']))
        assert pixels.shape[:2] == (entry['height'], entry['width'])
        assert max(pixels.shape) <= SIDE
        x, y = map(int, entry['file_name'].removesuffix('.png').split('_')[1:])
        assert (pixels == image[y : y + entry['height'], x : x + entry['width']]).all()
        seen[y : y + entry['height'], x : x + entry['width']] = True
        boxes = coco.imgToAnns[entry['id']]
        assert {box['track'] * 10 for box in boxes} == {*np.unique(pixels).tolist()} - {0}
        for box in boxes:
            under = pixels[..., 0] == box['track'] * 10
            assert (coco.annToMask(box) == under).all()
            rows, columns = np.nonzero(under)
            expected = [
                columns.min(),
                rows.min(),
                columns.max() - columns.min() + 1,
                rows.max() - rows.min() + 1,
            ]
            assert box['bbox'] == expected
            assert box['area'] == pytest.approx(under.sum())
            whole = (image[..., 0] == box['track'] * 10).sum()
            small = under.sum() / whole < LEAST_SHARE
            assert box['iscrowd'] == int(small or box['track'] == 2)
            shown[box['track']] += under.sum() == whole
    assert seen.all()
    assert shown[3] > 0  # an object smaller than a slice's overlap is whole in one
    init_default_scope('mmdet')
    dataset = CocoDataset(
        ann_file=str(path),
        data_prefix={'img': f'{root}/out/'},
        metainfo={'classes': ('disc',)},
    )
    assert len(dataset) == len(coco.imgs)


@given(
    mask=arrays(bool, (9, 13)).filter(np.any),
    corner=st.tuples(st.integers(0, 12), st.integers(0, 8)),
    side=st.integers(1, 9),
    compressed=st.booleans(),
)
def test_any_mask_is_cut_as_its_pixels_are(mask, corner, side, compressed):
    runs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = runs['counts'].decode() if compressed else run_lengths(mask)
    box = {
        'bbox': coco_masks.toBbox(runs).tolist(),
        'area': int(mask.sum()),
        'segmentation': {'size': [9, 13], 'counts': counts},
    }
    x, y = corner
    window = (x, y, min(x + side, 13), min(y + side, 9))
    part = mask[y : y + side, x : x + side]
    cut = cut_box(box, window, (9, 13))
    if not part.any():
        assert cut is None
        return
    np.testing.assert_array_equal(coco_masks.decode(cut['segmentation']), part)
    assert cut['area'] == pytest.approx(part.sum())
    assert cut.get('iscrowd', 0) == int(part.sum() < LEAST_SHARE * mask.sum())


def run_lengths(mask):
    """The numbers of zeros, ones, zeros ... down the columns, as COCO writes them."""
    pixels = mask.flatten(order='F').astype(int)
    changes = np.flatnonzero(np.diff(pixels, prepend=0)).tolist()
    return np.diff([0, *changes, pixels.size]).tolist()


def test_a_box_without_a_mask_is_cut_at_the_slice():
    box = {'bbox': [10, 20, 40, 10], 'area': 400}
    cut = cut_box(box, (30, 0, 94, 64), (100, 150))
    assert cut == {'bbox': [0, 20, 20, 10], 'area': 200}
    sliver = cut_box(box, (48, 0, 112, 64), (100, 150))
    assert sliver == {'bbox': [0, 20, 2, 10], 'area': 20, 'iscrowd': 1}
    assert cut_box(box, (50, 0, 114, 64), (100, 150)) is None


def test_a_damaged_picture_is_left_out_and_counted(data):
    root, _ = data
    content = json.loads((root / 'all.json').read_text())
    content['images'].append({'id': 8, 'file_name': 'cut.png', 'width': 150, 'height': 100})
    (root / 'all.json').write_text(json.dumps(content))
    whole = (root / 'images/a/b.c.png').read_bytes()
    (root / 'images/cut.png').write_bytes(whole[: len(whole) // 2])
    path, text = slice_file(read_coco(root / 'all.json'), root / 'images', root / 'out', SIDE)
    assert 'without 1' in text
    assert len(COCO(path).imgs) == 6


def test_a_file_with_other_sizes_is_refused(data):
    root, _ = data
    content = json.loads((root / 'all.json').read_text())
    content['images'][0]['width'] = 151
    (root / 'all.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'b\.c\.png.*150x100.*151x100.*--slice'):
        slice_file(read_coco(root / 'all.json'), root / 'images', root / 'out', SIDE)
