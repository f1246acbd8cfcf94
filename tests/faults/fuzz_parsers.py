"""Damaged content, given to the parsers themselves: thousands of inputs per second of a processor.

FUZZ_COUNT=100000 python -m pytest -m fuzz -s tests/faults/fuzz_parsers.py
"""

import ast
import contextlib
import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from mmengine.config import Config
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.faults.fuzz_data import BOXES, CLASSES, HEIGHT, WIDTH, corners_to_polygon, runs_of, words
from tests.faults.fuzz_data import xml_of as voc_xml
from tests.faults.fuzzing import VALUES, damage_bytes, damage_content, fuzz
from tests.faults.hostile import ARCH, DETECTOR
from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.data_checks.coco_file import forget_coco_files, read_coco
from tnt_backbone.data_checks.coco_masks import find_mask_fault
from tnt_backbone.new_config.labelme import is_labelme
from tnt_backbone.new_config.labelme_shapes import read_shapes
from tnt_backbone.new_config.voc import _read_xml
from tnt_backbone.new_config.yolo_rows import read_rows
from tnt_backbone.run.embedded_config import parse_config

pytestmark = pytest.mark.fuzz
SIZE = (WIDTH, HEIGHT)


def mask_of(box):
    left, top, right, bottom = box
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order='F')
    mask[top:bottom, left:right] = 1
    return mask


def segmentations():
    """Return a polygon, an RLE as text and an RLE as numbers, each with its area."""
    mask = mask_of(BOXES[0])
    rle = coco_mask.encode(mask)['counts'].decode()
    return [
        [corners_to_polygon(BOXES[0])],
        {'size': [HEIGHT, WIDTH], 'counts': rle},
        {'size': [HEIGHT, WIDTH], 'counts': runs_of(mask)},
    ]


def test_coco_values(tmp_path):
    """What is not refused is read by pycocotools, with as many images and boxes."""
    path = tmp_path / 'a.json'
    content = {
        'images': [
            {'id': n, 'file_name': f'{n}.png', 'width': WIDTH, 'height': HEIGHT} for n in (1, 2)
        ],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)],
        'annotations': [
            {'id': n, 'image_id': n, 'category_id': n, 'bbox': [1, 2, 30, 40], 'area': 1200,
             'iscrowd': 0, 'segmentation': segmentations()[n]}
            for n in (1, 2)
        ],
    }  # fmt: skip

    def attempt(rng, number):
        if number % 5:
            data = json.dumps(damage_content(content, rng)[0]).encode(errors='replace')
        else:
            data = damage_bytes(json.dumps(content).encode(), rng)
        path.write_bytes(data)
        forget_coco_files()
        file = read_coco(path)
        with contextlib.redirect_stdout(None):
            coco = COCO()
            coco.dataset = json.loads(data)
            coco.createIndex()
        assert len(coco.imgs) == len(file.images)
        assert len(coco.anns) == len(file.boxes)
        for box in file.boxes:
            assert all(math.isfinite(value) for value in box['bbox'])
        return 'read'

    fuzz(attempt, 'coco_values')


def test_masks():
    """A mask that is not refused is decoded to one of the size of the image."""
    whole = segmentations()

    def attempt(rng, number):
        given = whole[number % 3]
        kind = rng.integers(4)
        if kind == 0 and isinstance(given, dict):  # another size
            given = dict(given, size=[int(v) for v in rng.integers(0, 200, 2)])
        elif kind == 1 and isinstance(given, dict) and isinstance(given['counts'], str):
            text = damage_bytes(given['counts'].encode(), rng)
            given = dict(given, counts=text.decode('latin-1'))
        elif kind == 2:
            given = VALUES[int(rng.integers(len(VALUES)))]
        elif kind == 3 and isinstance(given, list):  # other numbers, mostly valid
            given = [[float(rng.normal(0, 10 ** rng.integers(0, 6))) for _ in range(8)]]
        elif kind == 3 and isinstance(given['counts'], list):
            cuts = np.sort(rng.integers(0, WIDTH * HEIGHT + 1, int(rng.integers(0, 9))))
            runs = np.diff([0, *cuts, WIDTH * HEIGHT + int(rng.integers(5) == 0)])
            given = dict(given, counts=runs.tolist())
        else:
            given = damage_content({'a': given}, rng)[0].get('a')
        if not given:
            return 'no mask'
        if find_mask_fault(given, HEIGHT, WIDTH):
            return 'refused'
        rles = given
        if isinstance(given, list) or isinstance(given['counts'], list):
            rles = coco_mask.frPyObjects(given, HEIGHT, WIDTH)
        for rle in rles if isinstance(rles, list) else [rles]:
            mask = coco_mask.decode(rle)
            assert mask.shape == (HEIGHT, WIDTH)
            assert mask.max(initial=0) <= 1
            if isinstance(given, dict) and isinstance(given['counts'], list):
                assert mask.sum() == sum(given['counts'][1::2])
        return 'decoded'

    fuzz(attempt, 'masks')


def test_yolo_rows(tmp_path):
    """Numbers that are read are those that Python reads, and lie in the image."""
    path = tmp_path / 'a.txt'
    names = dict(enumerate(CLASSES))

    def attempt(rng, number):
        rows = [['0', '0.5', '0.5', '0.25', '0.5'], ['1', '0.1', '0.1', '0.9', '0.1', '0.9', '0.9']]
        for _ in range(int(rng.integers(1, 3))):
            row = rows[int(rng.integers(2))]
            row[int(rng.integers(len(row)))] = words(rng)
        data = '\n'.join(map(' '.join, rows)).encode(errors='replace')
        path.write_bytes(damage_bytes(data, rng) if number % 4 == 0 else data)
        labels = read_rows(path, SIZE, names)
        lines = [line.split() for line in path.read_text('utf-8-sig').splitlines() if line.strip()]
        kept = list({tuple(map(float, line)): None for line in lines})
        assert [CLASSES[int(row[0])] for row in kept] == [shape.name for shape in labels.shapes]
        for row, shape in zip(kept, labels.shapes, strict=True):
            left, top, right, bottom = shape.box
            if len(row) == 5:
                expected = np.array([row[1] - row[3] / 2, row[1] + row[3] / 2]) * WIDTH
                assert np.allclose((left, right), expected.clip(0, WIDTH), atol=0.02 * WIDTH)
            assert -1 <= left <= right <= WIDTH + 1, row
            assert -1 <= top <= bottom <= HEIGHT + 1, row
        return 'read'

    fuzz(attempt, 'yolo_rows')


def test_voc_objects():
    def attempt(rng, number):
        def change(_, value):
            return value if rng.random() < 0.9 else words(rng).replace('&', '').replace('<', '')

        data = voc_xml('0.png', BOXES, change).encode(errors='replace')
        try:
            tree = ElementTree.fromstring(damage_bytes(data, rng) if number % 4 == 0 else data)
        except (ElementTree.ParseError, ValueError, LookupError):
            return 'no XML'
        labels = _read_xml(tree)
        objects = tree.findall('object')
        assert len(labels.shapes) == len(objects)
        for node, shape in zip(objects, labels.shapes, strict=True):
            box = [float(node.find(f'bndbox/{k}').text) for k in ('xmin', 'ymin', 'xmax', 'ymax')]
            assert list(shape.box) == box
            assert shape.name == node.find('name').text.strip()
        return 'read'

    fuzz(attempt, 'voc_objects')


def test_labelme_shapes():
    content = {
        'imagePath': 'a.png',
        'imageHeight': HEIGHT,
        'imageWidth': WIDTH,
        'shapes': [
            {'label': 'cat', 'points': [[1, 2], [30, 2], [30, 40]], 'shape_type': 'polygon'},
            {'label': 'dog', 'points': [[1, 2], [30, 40]], 'shape_type': 'rectangle'},
            {'label': 'cat', 'points': [[9, 9], [12, 13]], 'shape_type': 'circle', 'group_id': 1},
        ],
    }

    def attempt(rng, _number):
        damaged = damage_content(content, rng)[0]
        if not is_labelme(damaged):
            return 'another format'
        labels = read_shapes(damaged, SIZE)
        for shape in labels.shapes:
            assert all(map(math.isfinite, shape.box)), shape.box
            assert shape.name.strip()
        return 'read'

    fuzz(attempt, 'labelme_shapes')


def test_configs_in_weights():
    """What is read is what Python's own parser of literals reads."""
    text = Config(DETECTOR).pretty_text
    literals = ''.join(f'{key} = {value!r}\n' for key, value in DETECTOR.items())

    def attempt(rng, number):
        given = (text, literals)[number % 2]
        given = damage_bytes(given.encode(), rng).decode('utf-8', 'replace')
        found = parse_config(given)
        for line in ast.parse(given).body:
            with contextlib.suppress(ValueError, TypeError):  # dict(...) is no literal
                value = ast.literal_eval(line.value)
                assert repr(found[line.targets[0].id]) == repr(value) or (
                    sum(
                        line.targets[0].id == other.targets[0].id for other in ast.parse(given).body
                    )
                    > 1
                )
        return 'read'

    fuzz(attempt, 'configs_in_weights')


DTYPES = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.uint8, torch.int64, torch.bool, torch.complex64),
)


def test_the_door_of_the_backbones():
    """Any tensor is refused with a message, or its maps have the sizes of the strides."""
    torch.manual_seed(0)
    kinds = [
        TNT(ARCH, taps=(0, 0, 1, 1)),
        PyramidTNT('ti'),
        T2TViT('7', taps=(0, 0, 1, 1)),
    ]
    kinds = [kind.eval() for kind in kinds]
    sides = (0, 1, 2, 3, 4, 7, 15, 16, 17, 31, 32, 33, 64, 65)

    def attempt(rng, number):
        backbone = kinds[number % len(kinds)]
        shape = [int(rng.choice([0, 1, 2])), int(rng.choice([1, 3, 3, 3, 4]))]
        shape += [int(side) for side in rng.choice(sides, 2)]
        kind = rng.integers(8)
        if kind == 0:
            shape = shape[: int(rng.integers(1, 4))]
        elif kind == 1:
            shape.append(2)
        dtype = DTYPES[int(rng.integers(len(DTYPES)))] if rng.random() < 0.4 else torch.float32
        image = torch.ones(shape).to(dtype)
        if kind == 2:
            image = image.to_sparse()
        elif kind == 3 and image.ndim == 4:
            image = image.transpose(2, 3)
        elif kind == 4:
            image = VALUES[int(rng.integers(len(VALUES)))]
        with torch.no_grad():
            maps = backbone(image)
        assert isinstance(image, torch.Tensor)
        for level, stride in zip(maps, backbone.out_strides, strict=True):
            assert level.dtype == image.dtype
            assert level.isfinite().all()
            expected = [math.ceil(side / stride) for side in image.shape[2:]]
            assert list(level.shape[2:]) == expected, (image.shape, level.shape, stride)
        return 'maps'

    fuzz(attempt, 'door_of_backbones')
