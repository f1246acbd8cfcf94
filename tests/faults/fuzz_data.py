"""Damaged data in the formats of COCO, YOLO, Pascal VOC and LabelMe."""

import argparse
import base64
import copy
import json
import shutil
import xml.sax.saxutils
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.conftest import ROOT
from tests.faults.fuzzing import SCALARS, damage_bytes, damage_content, fuzz
from tnt_backbone.data_checks.coco_file import forget_coco_files
from tnt_backbone.data_checks.datasets import build_leaf_datasets, check_files
from tnt_backbone.data_checks.files import plan_check
from tnt_backbone.new_config import own_data
from tnt_backbone.new_config.formats import recognise

pytestmark = pytest.mark.fuzz
CLASSES = ('cat', 'dog')
WIDTH, HEIGHT = 96, 64
BOXES = ((10, 8, 40, 30), (50, 20, 90, 60))  # left, top, right, bottom; in each of three images
MASKS = Config.fromfile(ROOT / 'configs/mask_rcnn_tnt_s_coco.py')
PLAIN = Config.fromfile(ROOT / 'configs/retinanet_tnt_s_coco.py')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{number}.png')
    return folder


def fill(root, images, folder):
    shutil.rmtree(root, ignore_errors=True)
    (root / folder).mkdir(parents=True)
    for path in images.iterdir():
        (root / folder / path.name).symlink_to(path)


def corners_to_polygon(box):
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def read(data, out, form=None):
    """Do what ``tnt new`` and ``tnt check`` do; return the data sets and what was found."""
    forget_coco_files()
    cfg = copy.deepcopy(PLAIN if form in ('yolo', 'voc') else MASKS)
    args = argparse.Namespace(
        data=data, output=out, format=form, val_data=None, images=None, val_images=None,
        val_share=None, force=True,
    )  # fmt: skip
    use = own_data._set_folder if data.is_dir() else own_data._set_coco_files
    use(cfg, args)
    datasets = build_leaf_datasets(cfg, ['train', 'val'])
    check_files(cfg, datasets)
    found = []
    for phase, leaves in datasets.items():
        for leaf in leaves:
            check = plan_check(leaf, is_training=phase == 'train')
            looked = [finding for item in check.items for finding in check.look(item)]
            found += check.conclude([*check.found, *looked])
    return cfg, found


def boxes_of(cfg):
    """Return ``{file name: [(class, left, top, right, bottom)]}`` as MMDetection reads them."""
    init_default_scope('mmdet')
    leaf = copy.deepcopy(cfg.train_dataloader.dataset)
    leaf.pipeline = []
    dataset = DATASETS.build(leaf)
    names = dataset.metainfo['classes']
    return {
        Path(info['img_path']).name: sorted(
            (names[thing['bbox_label']], *map(float, thing['bbox']))
            for thing in info['instances']
            if not thing['ignore_flag']
        )
        for info in (dataset.get_data_info(i) for i in range(len(dataset)))
    }


def outcome_of(cfg, found, expected):
    """Return the outcome after comparing boxes with those of an independent reader."""
    if any(finding.is_error for finding in found):
        return 'finding'
    got = boxes_of(cfg)
    for name, boxes in expected.items():
        assert name in got, (name, 'is missing without a word')
        assert len(boxes) == len(got[name]), (name, boxes, got[name])
        for one, other in zip(sorted(boxes), got[name], strict=True):
            assert one[0] == other[0], (name, one, other)
            assert np.allclose(one[1:], other[1:], atol=0.01), (name, one, other)
    coco = COCO(cfg.train_dataloader.dataset.ann_file)
    for box in coco.anns.values():
        if box.get('segmentation') and box['image_id'] in coco.imgs:
            assert coco_mask.area(coco.annToRLE(box)) <= WIDTH * HEIGHT
    return 'right, with notes' if found else 'right'


WHOLE = {f'{n}.png': [(c, *b) for c, b in zip(CLASSES, BOXES, strict=True)] for n in range(3)}


def test_coco(images, tmp_path):
    content = {
        'images': [
            {'id': n + 1, 'file_name': f'{n}.png', 'width': WIDTH, 'height': HEIGHT}
            for n in range(3)
        ],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)],
    }
    for n in range(3):
        for i, (left, top, right, bottom) in enumerate(BOXES):
            box = [left, top, right - left, bottom - top]
            mask = np.zeros((HEIGHT, WIDTH), np.uint8, order='F')
            mask[top:bottom, left:right] = 1
            rle = coco_mask.encode(mask)
            segmentation = (
                [corners_to_polygon(BOXES[i])],
                {'size': [HEIGHT, WIDTH], 'counts': rle['counts'].decode()},
                {'size': [HEIGHT, WIDTH], 'counts': runs_of(mask)},
            )[(n + i) % 3]
            content['annotations'].append(
                {'id': 2 * n + i + 1, 'image_id': n + 1, 'category_id': i + 1, 'bbox': box,
                 'area': box[2] * box[3], 'iscrowd': 0, 'segmentation': segmentation}
            )  # fmt: skip
    root = tmp_path / 'data'

    def attempt(rng, number):
        fill(root, images, 'images')
        changed, touched = damage_content(content, rng)
        data = json.dumps(changed).encode()
        if number % 5 == 0:
            data, touched = damage_bytes(json.dumps(content).encode(), rng), [()]
        (root / 'train.json').write_bytes(data)
        cfg, found = read(root / 'train.json', root / 'out.py')
        # what was not touched must be read as before
        expected = {} if touched == [()] else untouched(content, touched)
        return outcome_of(cfg, found, expected)

    fuzz(attempt, 'coco')


def runs_of(mask):
    flat = mask.ravel(order='F')
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    runs = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs


def untouched(content, touched):
    """Return the boxes of images of which nothing was changed."""
    if any(place[0] == 'categories' or len(place) < 3 for place in touched):
        return {}
    numbers = {place[1] for place in touched if place[0] == 'images'}
    boxes = content['annotations']
    numbers |= {boxes[place[1]]['image_id'] - 1 for place in touched if place[0] == 'annotations'}
    return {name: boxes for n, (name, boxes) in enumerate(WHOLE.items()) if n not in numbers}


def words(rng):
    values = [*map(str, SCALARS), '0', '1', '7', '0.5', '-0.2', '1e-9', '1_0', '0x1', 'NaN']
    return values[int(rng.integers(len(values)))]


def test_yolo(images, tmp_path):
    root = tmp_path / 'data'
    rows = []
    for i, (left, top, right, bottom) in enumerate(BOXES):
        if i:
            xs = corners_to_polygon(BOXES[i])
            numbers = [x / side for x, side in zip(xs, (WIDTH, HEIGHT) * 4, strict=True)]
        else:
            numbers = [(left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT,
                       (right - left) / WIDTH, (bottom - top) / HEIGHT]  # fmt: skip
        rows.append([i, *numbers])

    def attempt(rng, number):
        fill(root, images, 'images/train')
        (root / 'labels/train').mkdir(parents=True)
        texts = [[list(map(str, row)) for row in rows] for _ in range(3)]
        described = {'path': '.', 'train': 'images/train', 'names': list(CLASSES)}
        target = texts[0]
        kind = rng.integers(6)
        if kind == 0:
            del target[int(rng.integers(2))][int(rng.integers(5)) :]
        elif kind in (1, 2):
            row = target[int(rng.integers(2))]
            row[int(rng.integers(len(row)))] = words(rng)
        elif kind == 3:
            target.append(copy.copy(target[0]))
        elif kind == 4:
            described, _ = damage_content(described, rng)
        for n, lines in enumerate(texts):
            data = '\n'.join(' '.join(line) for line in lines).encode(errors='replace')
            if kind == 5 and n == 0:
                data = damage_bytes(data, rng)
            (root / f'labels/train/{n}.txt').write_bytes(data)
        text = json.dumps(described, ensure_ascii=bool(rng.integers(2)))
        data = text.encode(errors='replace')
        (root / 'data.yaml').write_bytes(damage_bytes(data, rng) if number % 7 == 0 else data)
        cfg, found = read(root, root / 'out.py', 'yolo')
        is_described = kind != 4 and number % 7
        expected = {k: v for k, v in WHOLE.items() if k != '0.png'} if is_described else {}
        return outcome_of(cfg, found, expected)

    fuzz(attempt, 'yolo')


def xml_of(name, boxes, change):
    objects = ''.join(
        f'<object><name>{change("name", label)}</name><difficult>0</difficult><bndbox>'
        + ''.join(
            f'<{key}>{change(key, value + 1)}</{key}>'
            for key, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box, strict=True)
        )
        + '</bndbox></object>'
        for label, box in zip(CLASSES, boxes, strict=True)
    )
    size = f'<width>{change("width", WIDTH)}</width><height>{change("height", HEIGHT)}</height>'
    return (
        f'<annotation><filename>{change("filename", name)}</filename><size>{size}'
        f'<depth>3</depth></size>{objects}</annotation>'
    )


def test_voc(images, tmp_path):
    root = tmp_path / 'data'

    def attempt(rng, number):
        fill(root, images, 'JPEGImages')
        (root / 'Annotations').mkdir()
        keys = ('name', 'xmin', 'ymin', 'xmax', 'ymax', 'width', 'height', 'filename')
        key = keys[int(rng.integers(len(keys)))]

        def change(found, value):
            if found != key or rng.random() < 0.5:
                return value
            return xml.sax.saxutils.escape(words(rng).replace('\0', ''))

        for n in range(3):
            text = xml_of(f'{n}.png', BOXES, change if n == 0 else lambda _, value: value)
            data = text.encode(errors='replace')
            if n == 0 and number % 4 == 0:
                data = damage_bytes(data, rng)
            if n == 0 and number % 9 == 0:
                data = rng.choice([b"<?xml version='1.0' encoding='nowhere'?>",
                                   b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>',
                                   '\ufeff'.encode(), b'']) + data  # fmt: skip
            (root / f'Annotations/{n}.xml').write_bytes(data)
        cfg, found = read(root, root / 'out.py', 'voc')
        untouched = {name: boxes for name, boxes in WHOLE.items() if name != '0.png'}
        return outcome_of(cfg, found, untouched)

    fuzz(attempt, 'voc')


def test_labelme(images, tmp_path):
    root = tmp_path / 'data'
    encoded = base64.b64encode((images / '0.png').read_bytes()).decode()

    def attempt(rng, number):
        fill(root, images, '.')
        for n in range(3):
            content = {
                'version': '5.0.1',
                'imagePath': f'{n}.png',
                'imageData': None,
                'imageHeight': HEIGHT,
                'imageWidth': WIDTH,
                'shapes': [
                    {'label': label, 'points': np.reshape(corners_to_polygon(box), (4, 2)).tolist(),
                     'shape_type': 'polygon', 'group_id': None, 'flags': {}}
                    for label, box in zip(CLASSES, BOXES, strict=True)
                ],
            }  # fmt: skip
            if n == 0 and number % 3 == 0:
                content['shapes'][0] |= {
                    'shape_type': 'mask', 'mask': encoded, 'points': [[0, 0], [95, 63]],
                }  # fmt: skip
            if n == 0 and number % 4 == 0:
                content['imageData'] = encoded
            data = json.dumps(content if n else damage_content(content, rng)[0]).encode()
            if n == 0 and number % 7 == 0:
                data = damage_bytes(data, rng)
            (root / f'{n}.json').write_bytes(data)
        cfg, found = read(root, tmp_path / 'out/out.py', 'labelme')
        untouched = {name: boxes for name, boxes in WHOLE.items() if name != '0.png'}
        return outcome_of(cfg, found, untouched)

    fuzz(attempt, 'labelme')


@pytest.mark.parametrize('form', ['coco', 'yolo', 'voc', 'labelme'])
def test_recognition(images, tmp_path, form):
    """Whatever lies in a folder, its format is recognised or the message says what decides."""
    root = tmp_path / 'data'
    name, text = {
        'coco': ('train.json', json.dumps({'images': [], 'annotations': [], 'categories': []})),
        'yolo': ('data.yaml', 'names: [cat]\ntrain: images'),
        'voc': ('0.xml', xml_of('0.png', BOXES, lambda _, value: value)),
        'labelme': ('0.json', json.dumps({'imagePath': '0.png', 'shapes': []})),
    }[form]

    def attempt(rng, _number):
        fill(root, images, 'images')
        (root / name).write_bytes(damage_bytes(text.encode(), rng))
        return recognise(root)

    fuzz(attempt, f'recognise_{form}')
