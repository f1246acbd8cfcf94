"""Small digits: their boxes, sizes and labels."""

import json

import numpy as np
import pytest
import small_objects_digits as digits
from small_objects_files import SIDE, STAMP

from tnt_backbone.demo.digits import load_split, render


@pytest.mark.parametrize('height', [4.0, 9.5, 40.0])
def test_a_digit_is_the_mean_of_fine_pixels(height):
    digit = load_split('val')[3]
    opacity, (left, top, width, high) = digits.draw(np.random.default_rng(0), digit, height)
    rng = np.random.default_rng(0)
    angle, stretch = rng.uniform(-digits.MAX_TURN, digits.MAX_TURN), rng.uniform(*digits.STRETCH)
    fine = render(digit, height=height * 8, angle=angle, stretch=stretch)
    assert opacity.sum() == pytest.approx(fine.sum() / 64, rel=1e-4)  # as much ink
    assert (width, high) == (fine.shape[1] / 8, fine.shape[0] / 8)
    assert high == pytest.approx(height, rel=0.15)
    # the centre of mass lies where the box says, but for what is lost inside a pixel
    for axis, (start, size) in enumerate(((top, high), (left, width))):
        mass = fine.sum(axis=1 - axis)
        centre = (np.arange(len(mass)) + 0.5) @ mass / mass.sum() / 8
        drawn = opacity.sum(axis=1 - axis)
        assert start + centre == pytest.approx(
            (np.arange(len(drawn)) + 0.5) @ drawn / drawn.sum(), abs=0.06
        )
        assert 0 <= start < 1
        assert start + size <= len(drawn)


def test_a_scene_has_digits_of_all_sizes_and_labels_under_the_boxes():
    scene = digits.make_scene('train', 3)
    assert scene.image.shape == (SIDE, SIDE, 3)
    sizes = sorted(max(box[2:]) for box in scene.boxes)
    assert len(sizes) == 12
    assert sizes[3] < 13 < sizes[7] < 25 < sizes[-1] < 51
    for (left, top, width, height), category in zip(scene.boxes, scene.categories, strict=True):
        rows = np.s_[int(top) : int(np.ceil(top + height))]
        columns = np.s_[int(left) : int(np.ceil(left + width))]
        inside = scene.labels[rows, columns]
        assert set(np.unique(inside)) <= {0, category}  # boxes lie apart
        assert (inside == category).any()
    assert (scene.labels > 0).sum() == sum(
        (
            scene.labels[
                int(top) : int(np.ceil(top + height)), int(left) : int(np.ceil(left + width))
            ]
            > 0
        ).sum()
        for left, top, width, height in scene.boxes
    )


def test_files(tmp_path):
    digits.make_digits(tmp_path, train=2, val=1)
    content = json.loads((tmp_path / 'annotations/instances_train.json').read_text())
    assert [image['file_name'] for image in content['images']] == ['000000.jpg', '000001.jpg']
    ids = [entry['id'] for entry in content['annotations']]
    assert ids == list(range(1, len(ids) + 1))
    scene = digits.make_scene('train', 1)
    of_scene = [entry for entry in content['annotations'] if entry['image_id'] == 1]
    assert [tuple(entry['bbox']) for entry in of_scene] == scene.boxes
    assert [entry['category_id'] for entry in of_scene] == scene.categories
    before = (tmp_path / 'train/000000.jpg').stat().st_mtime_ns
    digits.make_digits(tmp_path, train=2, val=1)
    assert (tmp_path / 'train/000000.jpg').stat().st_mtime_ns == before
    digits.make_digits(tmp_path, train=1, val=1)  # other arguments: made again, whole
    assert not (tmp_path / 'train/000001.jpg').exists()
    assert json.loads((tmp_path / STAMP).read_text())['train'] == 1
