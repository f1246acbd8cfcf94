"""Results of images of one name in different folders: nothing is overwritten."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from tests.conftest import ROOT
from tnt_backbone.cli.test import main
from tnt_backbone.engine.mirrored_place import place_below

FOLDERS = ('a', 'b/c')


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, arguments)])
    main([str(argument) for argument in arguments])


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Two images that are both called 0.jpg, one black and one white, and their label maps."""
    root = tmp_path / 'digits'
    for folder, value in zip(FOLDERS, (0, 255), strict=True):
        for kind, suffix in (('val', 'jpg'), ('semantic/val', 'png')):
            (root / kind / folder).mkdir(parents=True)
            pixels = np.full((64, 64, 3) if suffix == 'jpg' else (64, 64), value, np.uint8)
            cv2.imwrite(str(root / kind / folder / f'0.{suffix}'), pixels)
    content = {
        'info': {},
        'images': [
            {'id': i, 'file_name': f'{folder}/0.jpg', 'height': 64, 'width': 64}
            for i, folder in enumerate(FOLDERS)
        ],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': str(i)} for i in range(10)],
    }
    (root / 'annotations').mkdir()
    content['annotations'] = [
        {'id': 1, 'image_id': 0, 'category_id': 1, 'bbox': [8, 8, 30, 30], 'area': 900,
         'iscrowd': 0},
    ]  # fmt: skip
    (root / 'annotations/instances_val.json').write_text(json.dumps(content))
    monkeypatch.setenv('TNT_DEMO_DATA', f'{root}/')
    monkeypatch.chdir(tmp_path)
    return root


def checkpoint(config, path):
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, path)
    return path


def test_label_maps_and_drawings_of_mmsegmentation(images, tmp_path, monkeypatch):
    config = ROOT / 'configs/fpn_tnt_digits.py'
    options = ('--cfg-options', f'visualizer.name={tmp_path.name}m')
    path = checkpoint(config, tmp_path / 'a.pth')
    run(monkeypatch, config, path, '--out', 'maps', '--show-dir', 'drawn', *options)
    maps = tmp_path / 'maps'
    written = sorted(str(file.relative_to(maps)) for file in maps.rglob('*.png'))
    assert written == ['a/0.png', 'b/c/0.png']
    assert Image.open(tmp_path / 'maps/a/0.png').size == (64, 64)
    drawn = sorted((tmp_path / 'drawn').rglob('*.png'))
    assert [file.parent.name for file in drawn] == ['a', 'c']
    means = [np.asarray(Image.open(file)).mean() for file in drawn]
    assert means[1] > means[0] + 25  # each shows its own image, under a colour


def test_drawings_of_mmdetection(images, tmp_path, monkeypatch):
    config = ROOT / 'configs/retinanet_tnt_digits.py'
    options = ('--cfg-options', f'visualizer.name={tmp_path.name}d')
    path = checkpoint(config, tmp_path / 'a.pth')
    run(monkeypatch, config, path, '--show-dir', 'drawn', '--work-dir', 'run', *options)
    drawn = sorted((tmp_path / 'run').rglob('drawn/**/*.jpg'))
    assert [file.parent.name for file in drawn] == ['a', 'c']
    means = [np.asarray(Image.open(file))[:, :64].mean() for file in drawn]
    assert means[1] > means[0] + 50


def test_the_folder_of_an_image():
    assert place_below('data/img', 'data/img/a/b/0.jpg') == 'a/b'
    assert place_below('data/img/', 'data/img/0.jpg') == ''
    assert place_below('data/img', 'elsewhere/0.jpg') == ''
    assert place_below('', 'a/0.jpg') == 'a'
