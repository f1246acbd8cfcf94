"""tools/check_data.py on data with one fault of each kind."""

import contextlib
import io
import json
import logging
import pickle
import re
import runpy
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import cv2
import numpy as np
import pytest
from mmpretrain.datasets import CIFAR10

from tnt_backbone.cli.check_data import main
from tnt_backbone.data_checks.coco_file import forget_coco_files
from tnt_backbone.data_checks.files import plan_check

ROOT = Path(__file__).parents[2]
SEGMENTATION = """
default_scope = 'mmseg'
train_dataloader = dict(
    dataset=dict(
        type='ADE20KDataset',
        data_root='{root}',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        pipeline=[],
    )
)
"""
CLASSIFICATION = """
default_scope = 'mmpretrain'
train_dataloader = dict(
    dataset=dict(
        type='CustomDataset',
        data_root='{root}',
        data_prefix='train',
        metainfo=dict(classes={classes}),
        pipeline=[],
    )
)
"""


def check(config, *args):
    """Run the command in this process; return its status and what it prints."""
    forget_coco_files()
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.raises(SystemExit) as exit_,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        # an earlier test may have left a log handler whose stream is closed
        mock.patch.object(logging, 'raiseExceptions', False),
    ):
        main([str(config), *map(str, args)])
    result = SimpleNamespace(
        returncode=exit_.value.code or 0, stdout=out.getvalue(), stderr=err.getvalue()
    )
    assert 'Traceback' not in result.stderr, result.stderr
    return result


def found(path):
    return Counter(problem['kind'] for problem in json.loads(path.read_text())['train'])


def image(path, height=40, width=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)


def test_coco(tiny_config, coco_root, tmp_path):
    assert check(tiny_config).returncode == 0

    annotations = coco_root / 'train.json'
    content = json.loads(annotations.read_text())
    content['annotations'][0]['bbox'] = [70, 16, 24, 32]  # images are 64 wide
    content['annotations'][1]['bbox'] = [50, 16, 24, 32]
    content['annotations'][2]['bbox'] = [16, 16, 0, 32]
    content['annotations'][3]['category_id'] = 7
    content['images'].append({'id': 9, 'file_name': '0.jpg', 'width': 64, 'height': 60})
    annotations.write_text(json.dumps(content))
    whole = (coco_root / 'images' / '3.jpg').read_bytes()
    (coco_root / 'images' / '3.jpg').write_bytes(whole[: len(whole) // 2])

    result = check(tiny_config, '--out', tmp_path / 'found.json', '--workers', 2)
    assert result.returncode == 1
    assert found(tmp_path / 'found.json') == {
        'box outside its image': 1,
        'box reaches over the edge': 1,
        'box without area': 1,
        'box of a category that is not listed': 1,
        'image has another size than the annotations say': 1,
        'image without annotation': 1,
        'image cannot be read': 1,
        'image that is listed twice': 1,
        'class that is never trained': 1,
    }
    assert 'ERROR image cannot be read: 1' in result.stdout
    assert '3.jpg' in result.stdout
    assert 'note  box without area: 1' in result.stdout


def test_coco_without_a_box_to_train_on(tiny_config, coco_root, tmp_path):
    annotations = coco_root / 'train.json'
    content = json.loads(annotations.read_text())
    for box in content['annotations']:
        box['bbox'][2] = 0
    annotations.write_text(json.dumps(content))
    result = check(tiny_config, '--phases', 'train', '--out', tmp_path / 'found.json')
    assert result.returncode == 1
    assert found(tmp_path / 'found.json') == {'no box to train on': 1, 'box without area': 4}


def test_coco_without_masks_for_a_detector_that_reads_them(tiny_config, tmp_path):
    tiny_config.write_text(
        tiny_config.read_text().replace('with_bbox=', 'with_mask=True, with_bbox=')
    )
    result = check(tiny_config, '--phases', 'train', '--out', tmp_path / 'found.json')
    assert result.returncode == 1
    assert found(tmp_path / 'found.json') == {'box without a mask': 1}
    assert re.search(r'\b4\b.*\b4\b.*"segmentation"', result.stdout)


VOC = """
default_scope = 'mmdet'
part = dict(
    type='VOCDataset',
    data_root='{root}',
    ann_file='train.txt',
    data_prefix=dict(sub_data_root='VOC2007/'),
    metainfo=dict(classes={classes}),
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=[],
)
train_dataloader = dict(
    dataset=dict(
        type='RepeatDataset', times=3, dataset=dict(type='ConcatDataset', datasets=[part])
    )
)
"""
OBJECT = '<object><name>{}</name><bndbox>{}</bndbox></object>'
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


@pytest.fixture
def voc(tmp_path, monkeypatch, capsys):
    """Write Pascal VOC's files from lists of (class, corners); return what is said and found."""

    def write_and_check(classes, **annotations):
        (tmp_path / 'VOC2007' / 'Annotations').mkdir(parents=True)
        for name, boxes in annotations.items():
            image(tmp_path / 'VOC2007' / 'JPEGImages' / f'{name}.jpg')
            objects = ''.join(
                OBJECT.format(
                    kind,
                    ''.join(f'<{k}>{v}</{k}>' for k, v in zip(CORNERS, box, strict=False)),
                )
                for kind, box in boxes
            )
            (tmp_path / 'VOC2007' / 'Annotations' / f'{name}.xml').write_text(
                '<annotation><size><width>60</width><height>40</height></size>'
                f'{objects}</annotation>'
            )
        (tmp_path / 'train.txt').write_text('\n'.join(annotations))
        if 'gone' in annotations:
            (tmp_path / 'VOC2007' / 'JPEGImages' / 'gone.jpg').unlink()
        config = tmp_path / 'config.py'
        config.write_text(VOC.format(root=tmp_path, classes=classes))
        out = tmp_path / 'found.json'
        arguments = (config, '--phases', 'train', '--workers', 1, '--out', out)
        monkeypatch.setattr(sys, 'argv', ['check_data.py', *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(ROOT / 'tools' / 'check_data.py'), run_name='__main__')
        return stopped.value.code, capsys.readouterr().out, found(out)

    return write_and_check


def test_pascal_voc(voc):
    whole = (1, 1, 60, 40)  # the corners of the image, counted from 1
    status, said, kinds = voc(
        ('cat', 'dog'),
        good=[('cat', whole), ('dog', (2.6, 3, 20, 20)), ('sofa', whole)],
        outside=[('cat', (70, 5, 90, 20)), ('cat', (40, 5, 70, 20)), ('cat', (9, 9, 9, 20))],
        gone=[('dog', whole)],
        short=[('dog', whole[:3])],
        empty=[],
    )
    assert status == 1
    assert kinds == {
        'box outside its image': 1,
        'box reaches over the edge': 1,
        'box without area': 1,
        'box of no class': 1,
        'image cannot be read': 1,
        'annotations cannot be read': 1,
        'image without annotation': 1,
    }
    assert 'note  box of no class: 1' in said
    assert re.search(r'short\.xml.*<object>.*bndbox/ymax', said)
    assert re.search(r'outside\.jpg\b.*\b0\b.*\[69, 4, 20, 15\].*\b40x60\b', said)


@pytest.mark.parametrize(
    ('classes', 'kinds', 'status'),
    [
        (('cat',), {'box of no class': 1}, 0),  # some of the classes: nothing wrong
        (('cat', 'dog'), {'box of no class': 1, 'classes do not match': 1}, 1),
        (
            ('dog',),
            {
                'box of no class': 2,  # a line for each name
                'classes do not match': 1,
                'no box to train on': 1,
                'image without annotation': 1,
            },
            1,
        ),
    ],
)
def test_names_of_pascal_voc(voc, classes, kinds, status):
    boxes = [('cat', (1, 1, 9, 9)), ('Dog', (5, 5, 20, 20))]
    assert voc(classes, one=boxes)[::2] == (status, kinds)


def test_masks(tmp_path):
    for i, value in enumerate((1, 150, 151, 0)):
        image(tmp_path / 'images' / f'{i}.jpg')
        (tmp_path / 'masks').mkdir(exist_ok=True)
        mask = np.full((40, 60), value, np.uint8)
        cv2.imwrite(str(tmp_path / 'masks' / f'{i}.png'), mask)
    image(tmp_path / 'images' / '4.jpg')
    cv2.imwrite(str(tmp_path / 'masks' / '4.png'), np.ones((60, 40), np.uint8))
    image(tmp_path / 'images' / '5.jpg')
    (tmp_path / 'masks' / '5.png').write_bytes(b'no picture')
    image(tmp_path / 'images' / '6.jpg')
    cv2.imwrite(str(tmp_path / 'masks' / '6.png'), np.ones((40, 60, 3), np.uint8))
    config = tmp_path / 'config.py'
    config.write_text(SEGMENTATION.format(root=tmp_path))

    result = check(config, '--phases', 'train', '--out', tmp_path / 'found.json')
    assert result.returncode == 1
    assert found(tmp_path / 'found.json') == {
        'label out of range': 1,  # 151: ADE20K has 150 classes, counted from 1
        'class without pixels': 1,  # most of them
        'mask without a label': 1,
        'mask has another size than its image': 1,
        'mask cannot be read': 2,
    }
    assert re.search(r'2\.png.*\[150\].*\b149\b', result.stdout)
    assert re.search(r'6\.png.*\b3\b', result.stdout)


@pytest.mark.parametrize('folders', [('cat', 'dog'), ('cat', 'dog', 'emu')])
def test_class_folders(tmp_path, folders):
    for name in folders:
        image(tmp_path / 'train' / name / '0.jpg')
    (tmp_path / 'train' / 'dog' / '1.jpg').write_bytes(b'')
    config = tmp_path / 'config.py'
    config.write_text(CLASSIFICATION.format(root=tmp_path, classes=('cat', 'dog')))
    result = check(config, '--phases', 'train', '--out', tmp_path / 'found.json')
    assert result.returncode == 1
    wrong = 'image cannot be read' if len(folders) == 2 else 'classes do not match'
    assert found(tmp_path / 'found.json') == {wrong: 1}


def test_a_class_without_images(tmp_path):
    image(tmp_path / 'train' / 'cat' / '0.jpg')
    (tmp_path / 'train' / 'dog').mkdir()
    config = tmp_path / 'config.py'
    config.write_text(CLASSIFICATION.format(root=tmp_path, classes=('cat', 'dog')))
    result = check(config, '--phases', 'train')
    assert result.returncode == 1
    assert 'class without images: 1' in result.stdout
    assert '1: dog' in result.stdout


def test_an_image_in_two_classes(tmp_path):
    config, train = tmp_path / 'config.py', tmp_path / 'train'
    for name in ('cat/1.jpg', 'dog/0.jpg'):
        image(train / name)
    whole = (train / 'cat/1.jpg').read_bytes() + b'another file, after the end of the picture'
    (train / 'cat/1.jpg').write_bytes(whole)
    (train / 'dog/1.jpg').write_bytes(whole)
    text = CLASSIFICATION.format(root=tmp_path, classes=('cat', 'dog'))
    config.write_text(text)
    check(config, '--phases', 'train', '--out', tmp_path / 'a.json')
    everything = json.loads((tmp_path / 'a.json').read_text())['all']
    (note,) = (one for one in everything if one['kind'] == 'equal images of different classes')
    assert note['file'] == str(train / 'dog/1.jpg')
    assert note['text'].startswith(f'dog, but the equal {train / "cat/1.jpg"} is cat')
    # a list that names one file twice
    (tmp_path / 'list.txt').write_text('cat/1.jpg 0\ndog/0.jpg 1\ncat/1.jpg 1\n')
    listed = text.replace("data_prefix='train'", "data_prefix='train', ann_file='list.txt'")
    config.write_text(listed)
    check(config, '--phases', 'train', '--out', tmp_path / 'b.json')
    (note,) = json.loads((tmp_path / 'b.json').read_text())['train']
    assert (note['kind'], note['file']) == (
        'equal images of different classes',
        str(train / 'cat/1.jpg'),
    )
    assert note['text'].startswith('listed as cat and as dog')


def test_data_that_is_not_there(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(CLASSIFICATION.format(root=tmp_path / 'nowhere', classes=('cat',)))
    result = check(config, '--phases', 'train')
    assert result.returncode == 2
    assert 'MISSING' in result.stderr


@pytest.mark.parametrize(('label', 'kinds'), [(9, []), (11, ['label out of range'] * 5)])
def test_cifar_holds_its_images_itself(tmp_path, monkeypatch, label, kinds):
    folder = tmp_path / 'cifar-10-batches-py'
    folder.mkdir()
    batch = {'data': np.zeros((11, 3072), np.uint8), 'labels': [*range(10), label]}
    for name in (*(f'data_batch_{i}' for i in range(1, 6)), 'test_batch'):
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {'label_names': [str(i) for i in range(10)]}
    (folder / 'batches.meta').write_bytes(pickle.dumps(names))
    monkeypatch.setattr(CIFAR10, '_check_integrity', lambda _: True)  # of the real files' sums
    check = plan_check(CIFAR10(str(tmp_path), split='train', lazy_init=True))
    assert len(check.items) == 55
    problems = [*check.found, *chain.from_iterable(map(check.look, check.items))]
    assert [problem.kind for problem in problems] == kinds
    assert all('image' in problem.file for problem in problems)


def test_splits_sizes_and_copies(tiny_config, coco_root, tmp_path):
    """Training and validation read the same files, and one more is a copy of another."""
    whole = (coco_root / 'images' / '0.jpg').read_bytes()
    (coco_root / 'images' / '3.jpg').write_bytes(whole)
    scale = '--cfg-options', 'train_dataloader.dataset.pipeline.2.scale=(24,24)'
    assert check(tiny_config, '--out', tmp_path / 'a.json', *scale).returncode == 0
    everything = json.loads((tmp_path / 'a.json').read_text())['all']
    assert Counter(problem['kind'] for problem in everything) == {
        'image in two splits': 4,
        'image that occurs twice': 1,
        'object smaller than a sentence': 1,
    }
    check(tiny_config, '--out', tmp_path / 'b.json', '--no-similar', '--samples', 0, *scale)
    assert 'all' not in json.loads((tmp_path / 'b.json').read_text())
    assert check(tiny_config, '--samples', -1).returncode == 2
