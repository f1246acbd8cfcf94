"""Checkpoints that say odd things about themselves, pictures of odd kinds, damaged results."""

import io
import json
import re

import cv2
import numpy as np
import PIL
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from tests.faults.hostile import DETECTOR
from tnt_backbone.errors import InputError
from tnt_backbone.predict.load import load_model
from tnt_backbone.predict.model import _pictures_of
from tnt_backbone.predict.write import LINES, PredictionFolder

CLASSES = ['box', 'disc']


@pytest.fixture(scope='module')
def weights():
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(Config(DETECTOR).model).state_dict()


@pytest.fixture
def load(tmp_path, weights):
    """Return the model of a checkpoint with another config, meta data or weights."""

    def load_it(*, cfg=None, meta=None, tensors=None):
        text = Config(cfg or DETECTOR).pretty_text
        content = {
            'meta': {'cfg': text, 'dataset_meta': {'classes': CLASSES}} | (meta or {}),
            'state_dict': {**weights, **(tensors or {})},
        }
        torch.save(content, tmp_path / 'w.pth')
        return load_model(tmp_path / 'w.pth', device='cpu')

    return load_it


def changed(**model):
    return {**DETECTOR, 'model': {**DETECTOR['model'], **model}}


@pytest.mark.parametrize(
    'meta',
    [
        {'dataset_meta': {'classes': 'box'}},  # not the classes b, o and x
        {'dataset_meta': {'classes': 5}},
        {'dataset_meta': {'classes': ['box']}},  # the model knows two
        {'cfg': None},
        {'cfg': 'default_scope = 5'},
    ],
)
def test_what_does_not_fit_the_model_is_named(load, meta):
    with pytest.raises(InputError, match=r'w\.pth'):
        load(meta=meta)


@pytest.mark.parametrize(
    'palette', [None, 5, 'red', [[1, 2]], [[1, 2, 'x']] * 2, [[1e400] * 3] * 2]
)
def test_odd_colours_are_replaced(load, palette):
    model = load(meta={'dataset_meta': {'classes': CLASSES, 'palette': palette}})
    assert model.classes == ('box', 'disc')
    assert len(set(model.palette)) == 2


@pytest.mark.parametrize(
    'cfg',
    [
        changed(backbone=None),
        changed(bbox_head=dict(DETECTOR['model']['bbox_head'], feat_channels='many')),
        changed(neck=dict(type='FPN', in_channels=5, out_channels=16, num_outs=5)),
        # a model that would fill the memory before its weights are compared
        changed(neck=dict(type='FPN', in_channels=[10**6] * 3, out_channels=10**6, num_outs=5)),
        {**DETECTOR, 'test_dataloader': dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'),
                                                                    dict(type='Resize')]))},
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_built_is_named(load, cfg):
    with pytest.raises(InputError, match=r'w\.pth.*--config'):
        load(cfg=cfg)


@pytest.mark.parametrize('value', [float('nan'), 1])
def test_weights_that_are_no_numbers_are_refused(load, weights, value):
    key = 'bbox_head.retina_cls.weight'
    odd = torch.full_like(weights[key], value) if value != 1 else weights[key].to(torch.int32)
    with pytest.raises(InputError, match=rf'{key}'):
        load(tensors={key: odd})


def test_pixels_are_whole_numbers_from_0_to_255(load, tmp_path):
    model = load()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for odd in (pixels / np.float32(255), pixels.astype(np.uint16), pixels[:0]):
        with pytest.raises(InputError, match=r'uint8|one pixel'):
            model.predict(odd)
    for wrong in ({'score': 50}, {'score': float('nan')}, {'score': '0.5'}, {'batch_size': 0}):
        ((name, value),) = wrong.items()
        with pytest.raises(InputError, match=f'{name}={value!r}'):
            model.predict(pixels, **wrong)
    with pytest.raises(InputError, match='mode I;16'):
        model.predict(Image.fromarray(pixels[..., 0].astype(np.uint16)))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / 'a.png', exif=exif.tobytes())
    of_file = model.predict(tmp_path / 'a.png', score=0.0)
    with Image.open(tmp_path / 'a.png') as image:
        of_image = model.predict(image, score=0.0)
    assert (of_image.height, of_image.width) == (of_file.height, of_file.width) == (60, 40)
    np.testing.assert_array_equal(of_image.boxes, of_file.boxes)


def as_png(pixels):
    return cv2.imencode('.png', pixels)[1].tobytes()


@pytest.mark.parametrize(
    'change',
    [
        as_png,
        lambda pixels: io.BytesIO(as_png(pixels)),
        torch.from_numpy,
        lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1),
        lambda pixels: pixels.transpose(2, 0, 1),
        lambda pixels: np.dstack([pixels, pixels[..., 0]]),
        lambda pixels: pixels[None],
        lambda pixels: iter([pixels]),
        lambda pixels: pixels[..., 0],
    ],
)
def test_what_is_no_picture_is_refused_with_the_way_that_makes_it_one(change):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 1), np.uint8).repeat(3, axis=2)
    with pytest.raises(InputError) as caught:
        list(_pictures_of(change(pixels)))
    way = re.search(r'\. ((?:PIL|list|source).*?) (?:reads|is|has|leaves)\b', str(caught.value))
    made = eval(way[1], {'source': change(pixels), 'PIL': PIL, 'io': io})
    (picture,) = _pictures_of(made[0] if isinstance(made, list) else made)
    np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize(
    'line', ['{"name"', '5', '{"name": "a"}', '{"files": 5, "name": "a"}', '\0']
)
def test_results_that_were_not_written_here_are_named(tmp_path, line):
    settings = {'checkpoint': 'a'}
    PredictionFolder(tmp_path, settings)
    first = json.dumps({'settings': settings}, sort_keys=True)
    (tmp_path / LINES).write_text(f'{first}\n{line}\n')
    with pytest.raises(InputError, match=r'predictions\.jsonl.*--force'):
        PredictionFolder(tmp_path, settings)
    PredictionFolder(tmp_path, settings, force=True)
