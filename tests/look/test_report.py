"""Everything that is written of a picture."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tnt_backbone.look import report
from tnt_backbone.look.network_input import network_input
from tnt_backbone.look.report import look_at
from tnt_backbone.predict.pictures import find_pictures

SHEETS = {'heat', 'attention', 'levels', 'sentences', 'words', 'positions'}


@pytest.fixture
def no_sheets(monkeypatch):
    """Write files instead of drawing sheets, which takes longest."""
    monkeypatch.setattr(report, 'write_sheet', lambda path, *args: path.write_bytes(b''))


def picture(data, task):
    folder = 'classification/val/3' if task == 'classification' else 'val'
    return find_pictures([data / folder])[0]


@pytest.mark.parametrize('task', ['segmentation', 'classification'])  # detection: tests/cli
def test_all_tasks(model_of, data, tmp_path, task):
    model = model_of(task)
    page, notes = look_at(model, picture(data, task), tmp_path, score=0.0, top=2)
    assert notes == []
    assert page.parent.parent == tmp_path
    for name in SHEETS:
        with Image.open(page.parent / f'{name}.png') as image:
            assert np.asarray(image.convert('L')).std() > 10
    assert {file.stem for file in page.parent.iterdir()} == SHEETS | {'page'}
    text = page.read_text(encoding='utf-8')
    shown = json.loads(re.search(r'application/json">(.*?)</script>', text)[1])
    assert len(shown['heats']) == 2
    assert len(shown['blocks']) == 3
    assert text.count('data:image/png') == len(SHEETS)


def test_what_is_not_found_is_said_and_old_pictures_go(no_sheets, model_of, data, tmp_path):
    model, one = model_of('detection'), picture(data, 'detection')
    look_at(model, one, tmp_path, score=0.0, top=1, blocks=[0])
    page, notes = look_at(model, one, tmp_path, score=1.0, blocks=[0])
    (note,) = notes
    assert re.search(r'\b1\b.*--score', note)
    assert note in page.read_text(encoding='utf-8')
    assert not (page.parent / 'heat.png').exists()
    assert look_at(model, one, tmp_path, method=None, blocks=[0])[1] == []


def test_a_point_outside_is_refused_with_the_size(no_sheets, model_of, data, tmp_path):
    model, one = model_of('detection'), picture(data, 'detection')
    height, width = network_input(model, one).pixels.shape[:2]
    look_at(model, one, tmp_path, point=(width - 1, height - 1), method=None, blocks=[0])
    for point in ((width, 0), (0, height), (-1, 0)):
        with pytest.raises(
            ValueError, match=rf'--point {point[0]} {point[1]}\b.*{width} x {height}'
        ):
            look_at(model, one, tmp_path, point=point)


def test_other_backbones_have_heat_maps(no_sheets, model_of, data, tmp_path, monkeypatch):
    model = model_of('segmentation')
    ours = model.model.backbone

    class Theirs(type(ours).__bases__[0].__bases__[0]):  # nn.Module
        def forward(self, image):
            return ours(image)

    monkeypatch.setitem(model.model._modules, 'backbone', Theirs())
    page, notes = look_at(model, picture(data, 'segmentation'), tmp_path, top=1)
    assert 'Theirs' in notes[0]
    assert {file.stem for file in page.parent.glob('*.png')} == {'heat', 'levels'}


def test_a_sliding_window_is_said(no_sheets, model_of, data, tmp_path, monkeypatch):
    model = model_of('segmentation')
    monkeypatch.setattr(
        model.model, 'test_cfg', {'mode': 'slide', 'crop_size': (64, 64), 'stride': (32, 32)}
    )
    _, notes = look_at(model, picture(data, 'segmentation'), tmp_path, method=None, blocks=[0])
    assert '(64, 64)' in notes[0]
