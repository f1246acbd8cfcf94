"""The size at which the model sees a large picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tnt_backbone import load_model
from tnt_backbone.predict.pictures import Picture

SCENE = Path(__file__).parents[2] / 'docs/images/scene.jpg'


def test_boxes_are_in_pixels_of_the_picture():
    scene = cv2.imread(str(SCENE))
    side = scene.shape[0]
    large = cv2.resize(scene, (4 * side, 4 * side), interpolation=cv2.INTER_NEAREST)
    model = load_model('tnt://digits')
    expected = model.predict(scene)
    assert len(expected.boxes) > 1
    result = model.predict(large, size=side)
    assert (result.height, result.width) == (4 * side, 4 * side)
    np.testing.assert_allclose(result.boxes, 4 * expected.boxes, atol=4)
    assert result.names == expected.names
    # smaller ones stay as they are, and the next call sees all at their own size
    np.testing.assert_array_equal(model.predict(scene, size=2 * side).boxes, expected.boxes)
    model.predict(scene)
    assert model.prepare(Picture('a', '', large))['inputs'].shape[-2:] == (4 * side, 4 * side)


def test_label_maps_have_the_size_of_the_picture(make_checkpoint):
    model = load_model(make_checkpoint('segmentation')[0])
    pixels = np.random.default_rng(0).integers(0, 256, (160, 96, 3), dtype=np.uint8)
    assert model.predict(pixels, size=64).labels.shape == (160, 96)
    inputs = model.prepare(Picture('a', '', pixels))['inputs']
    assert max(inputs.shape[-2:]) == 64


def test_a_size_that_is_no_size_is_refused(make_checkpoint):
    pixels = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match='size=8'):
        load_model('tnt://digits').predict(pixels, size=8)
    with pytest.raises(ValueError, match='size=64'):
        load_model(make_checkpoint('classification')[0]).predict(pixels, size=64)


def test_a_picture_of_many_tokens_is_named_once(monkeypatch):
    said = []
    monkeypatch.setattr('tnt_backbone.predict.large_pictures.MANY_TOKENS', 100)
    monkeypatch.setattr(
        'tnt_backbone.predict.large_pictures.log', lambda text, level: said.append(text)
    )
    model = load_model('tnt://digits')  # patches of 8 pixels
    model.predict(np.zeros((80, 80, 3), np.uint8))
    assert not said
    for _ in range(2):
        model.predict(np.zeros((80, 88, 3), np.uint8))
    assert len(said) == 1
    assert {'88x80', '110', '--size'} <= set(said[0].split())
