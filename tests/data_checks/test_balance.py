"""Small objects and rare classes."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from tnt_backbone.data_checks.balance import find_in_training_samples, find_rare, find_small


def kinds(findings):
    return [finding.kind for finding in findings]


def test_small_objects():
    assert find_small(np.array([16.0, 20]), 1) == []
    assert find_small(np.zeros(0), 0) == []
    found = find_small(np.array([3.9, 15, 16, 20]), 7)
    assert kinds(found) == ['object smaller than a word', 'object smaller than a sentence']
    assert '1 of 4 boxes (25 %)' in found[0].text
    assert '2 of 4 boxes (50 %)' in found[1].text
    assert '7 pictures' in found[0].text
    assert find_small(np.array([3.0] + [99.0] * 50), 7) == []  # one in 51


def test_rare_classes():
    assert find_rare(['a', 'b', 'c'], np.array([100, 6, 0]), 'objects') == []
    (found,) = find_rare(['a', 'b', 'c'], np.array([5, 100, 0]), 'objects')
    assert 'a 5' in found.text
    assert 'b (100 objects)' in found.text
    assert find_rare([], np.array([], int), '') == []


@pytest.mark.parametrize(('scale', 'expected'), [(64, 0), (32, 1), (8, 2)])
def test_sizes_are_those_of_the_training_size(tiny_config, scale, expected):
    """A box of 24 x 32 pixels in pictures of 64: at 32 pixels it has 13.9, at 8 pixels 3.5."""
    cfg = Config.fromfile(tiny_config)
    cfg.train_dataloader.dataset.pipeline[2].scale = (scale, scale)
    assert len(find_in_training_samples(cfg, 4)) == expected


def test_a_pipeline_that_fails_is_named(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.train_dataloader.dataset.pipeline.insert(2, dict(type='RandomCrop', crop_size=(1, 2, 3)))
    cfg.train_dataloader.dataset.pipeline[2] = dict(type='PhotoMetricDistortion', hue_delta='x')
    (found,) = find_in_training_samples(cfg, 2)
    assert found.kind == 'training pipeline that fails'
    assert found.is_error


def test_pixels_of_label_maps_are_counted_in_their_classes(tmp_path):
    """255 is ignored, and 7 is no class."""
    for folder, suffix, pixels in (('images', 'jpg', 128), ('labels', 'png', 0)):
        (tmp_path / folder).mkdir()
        for i in range(2):
            image = np.full((20, 30), pixels, np.uint8)
            if folder == 'labels':
                image[0, :10], image[1], image[2, :5] = 1, 255, 7
            cv2.imwrite(str(tmp_path / folder / f'{i}.{suffix}'), image)
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=('ground', 'cat')),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                  dict(type='PackSegInputs')],
    )  # fmt: skip
    cfg = Config(dict(default_scope='mmseg', train_dataloader=dict(dataset=dataset)))
    (found,) = find_in_training_samples(cfg, 5)
    assert 'ground (1,110 pixels in 2 pictures)' in found.text
    assert 'cat 20.' in found.text
