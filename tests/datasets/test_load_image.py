"""Damaged images in training."""

import logging

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmengine.registry import init_default_scope

from tnt_backbone.datasets import load_image as images
from tnt_backbone.datasets.load_image import LoadImageOrSkip

PIPELINE = [{'type': 'LoadImageOrSkip'}, {'type': 'LoadAnnotations', 'with_bbox': True}]


def dataset(coco_root):
    init_default_scope('mmdet')
    return CocoDataset(
        data_root=str(coco_root),
        ann_file='train.json',
        data_prefix={'img': 'images/'},
        metainfo={'classes': ('box', 'disc')},
        pipeline=PIPELINE,
    )


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('progressive', [0, 1])
@pytest.mark.parametrize('to_float32', [False, True])
def test_a_whole_image_is_what_mmcv_reads(tmp_path, suffix, progressive, to_float32):
    path = tmp_path / f'a{suffix}'
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive] if suffix == '.jpg' else []
    cv2.imwrite(str(path), image, flags)
    results = [
        loader(to_float32=to_float32).transform({'img_path': str(path)})
        for loader in (LoadImageOrSkip, LoadImageFromFile)
    ]
    ours, theirs = results
    assert ours.keys() == theirs.keys()
    np.testing.assert_array_equal(ours['img'], theirs['img'])
    assert ours['img'].dtype == theirs['img'].dtype
    assert (ours['img_shape'], ours['ori_shape']) == (theirs['img_shape'], theirs['ori_shape'])


@pytest.mark.parametrize('damage', ['cut off', 'no image', 'empty', 'gone'])
def test_a_damaged_image_is_named_and_replaced(coco_root, damage, monkeypatch):
    log = []
    monkeypatch.setattr(images, 'print_log', lambda text, level, **_: log.append((text, level)))
    bad = coco_root / 'images' / '2.jpg'
    whole = bad.read_bytes()
    if damage == 'gone':
        bad.unlink()
    else:
        content = {'cut off': whole[: len(whole) // 2], 'no image': b'<html>', 'empty': b''}
        bad.write_bytes(content[damage])
    results = dataset(coco_root)[2]
    assert results['img'].shape == (64, 64, 3)
    assert results['img_path'] != str(bad)
    assert log  # more than one line where the lot falls on the damaged image again
    for text, level in log:
        assert str(bad) in text
        assert level == logging.ERROR  # the least that is shown by all processes of a run


def test_trailing_bytes_and_thumbnails_do_not_matter(tmp_path):
    """A thumbnail in front has an end marker of its own; cameras append data behind the image."""
    path = tmp_path / 'a.jpg'
    cv2.imwrite(str(path), np.zeros((32, 32, 3), np.uint8))
    whole = path.read_bytes()
    thumbnail = b'\xff\xe1' + (len(whole) + 2).to_bytes(2, 'big') + whole
    with_thumbnail = whole[:2] + thumbnail + whole[2:]
    path.write_bytes(with_thumbnail + b'trailing')
    assert LoadImageOrSkip().transform({'img_path': str(path)}) is not None
    path.write_bytes(with_thumbnail[: -len(whole) // 4])
    assert LoadImageOrSkip().transform({'img_path': str(path)}) is None


def test_when_all_images_are_damaged_the_run_stops(coco_root):
    for image in (coco_root / 'images').iterdir():
        image.write_bytes(b'')
    data = dataset(coco_root)
    data.max_refetch = 5
    with pytest.raises(Exception, match='Cannot find valid image'):  # mmengine's
        data[0]


def test_an_error_of_opencv_itself_is_a_damaged_image(tmp_path, monkeypatch):
    """OpenCV raises for more pixels than it allows, and returns nothing for other damage."""

    def refuse(*args, **kwargs):
        raise cv2.error('CV_IO_MAX_IMAGE_PIXELS')

    monkeypatch.setattr(images.mmcv, 'imfrombytes', refuse)
    path = tmp_path / 'a.png'
    path.write_bytes(b'any')
    with pytest.raises(ValueError, match='CV_IO_MAX_IMAGE_PIXELS'):
        LoadImageOrSkip().read(str(path))
    assert LoadImageOrSkip().transform({'img_path': str(path)}) is None
