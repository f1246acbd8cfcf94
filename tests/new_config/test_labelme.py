"""LabelMe's JSON files: boxes and masks are those of the pixels."""

import base64
import functools
import io
import json
import math
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.new_config.scenes import (
    COLOURS,
    MASKS,
    assert_equal,
    assert_fits,
    boxes_of,
    configure,
    convert_folder,
    dataset_of,
    draw,
)
from tnt_backbone.new_config.labelled import UnusableError
from tnt_backbone.new_config.labelme import read_labelme
from tnt_backbone.new_config.labelme_shapes import read_shapes

SIZE = (96, 64)


def rectangle(thing, **fields):
    x1, y1, x2, y2 = thing.box
    shape = dict(label=thing.name, shape_type='rectangle', points=[[x2, y1], [x1, y2]])
    return shape | {'group_id': None, 'flags': {}} | fields


def outline(thing, **fields):
    x1, y1, x2, y2 = thing.box
    points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    return dict(label=thing.name, shape_type='polygon', points=points) | fields


def write(path, shapes, *, name=None, size=SIZE, data=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(
        version='5.5.0',
        flags={},
        shapes=shapes,
        imagePath=path.with_suffix('.png').name if name is None else name,
        imageData=data,
        imageWidth=size and size[0],
        imageHeight=size and size[1],
    )
    path.write_text(json.dumps(content), encoding='utf-8')


def make(root, numbers, to_shape=rectangle, **options):
    """Write images with their JSON files; return the rectangles of each."""
    truth = {}
    for i in numbers:
        truth[f'{i}.png'] = draw(root / f'{i}.png', seed=i)
        write(root / f'{i}.json', [to_shape(thing) for thing in truth[f'{i}.png']], **options)
    return truth


def convert(root):
    read = functools.partial(read_labelme, extracted=root.with_name('extracted'))
    return convert_folder(read, root)


def masks_of(root):
    """Return {name of the image: [(class, mask), ...]}, as pycocotools reads the written file."""
    coco = COCO(str(root.with_name(f'{root.name}_coco.json')))
    masks = {image['file_name']: [] for image in coco.imgs.values()}
    for box in coco.anns.values():
        mask = coco.annToMask(box).astype(bool)
        assert box['area'] == mask.sum()
        name = coco.cats[box['category_id']]['name']
        masks[coco.imgs[box['image_id']]['file_name']].append((name, mask))
    return masks


def painted(root, name):
    """Return {class: pixels of its colour} of an image."""
    pixels = np.asarray(Image.open(root / name).convert('RGB')).astype(int)
    return {key: (abs(pixels - colour) < 10).all(axis=-1) for key, colour in COLOURS.items()}


@pytest.mark.parametrize('to_shape', [rectangle, outline])
def test_boxes_and_masks(tmp_path, to_shape):
    root = tmp_path / 'own'
    truth = make(root, range(3), to_shape)
    cfg, said = configure(root, config=MASKS)
    dataset = dataset_of(cfg)
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    assert_equal(dataset, truth)
    assert_fits(dataset, boxes=6)
    for name, masks in masks_of(root).items():
        for label, mask in masks:
            np.testing.assert_array_equal(mask, painted(root, name)[label])
    assert 'format: labelme' in said


def test_a_circle(tmp_path):
    root = tmp_path / 'own'
    pixels = np.full((64, 96, 3), 100, np.uint8)
    cv2.circle(pixels, (40, 30), 20, COLOURS['cat'], -1)
    root.mkdir()
    Image.fromarray(pixels).save(root / '0.png')
    # pixel (40, 30) has its centre at (40.5, 30.5)
    points = [[40.5, 30.5], [40.5 + 20 * math.cos(1), 30.5 + 20 * math.sin(1)]]
    write(root / '0.json', [dict(label='cat', shape_type='circle', points=points)])
    datasets, _ = convert(root)
    ((_, box, _),) = boxes_of(datasets['train'])['0.png']
    assert box == pytest.approx((20.5, 10.5, 60.5, 50.5))
    ((_, mask),) = masks_of(root)['0.png']
    truth = painted(root, '0.png')['cat']
    assert (mask & truth).sum() / (mask | truth).sum() > 0.97


def test_a_mask_of_an_ai_tool(tmp_path):
    root = tmp_path / 'own'
    make(root, range(1))
    part = np.random.default_rng(0).random((12, 9)) > 0.4
    file = io.BytesIO()
    Image.fromarray(part).save(file, 'PNG')
    shape = dict(
        label='dog',
        shape_type='mask',
        points=[[30.0, 20.0], [38.0, 31.0]],
        mask=base64.b64encode(file.getvalue()).decode(),
    )
    write(root / '0.json', [shape])
    datasets, _ = convert(root)
    truth = np.zeros((64, 96), bool)
    truth[20:32, 30:39] = part
    ((name, mask),) = masks_of(root)['0.png']
    assert name == 'dog'
    np.testing.assert_array_equal(mask, truth)
    rows, columns = truth.nonzero()
    ((_, box, _),) = boxes_of(datasets['train'])['0.png']
    assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    # with a rectangle of the same group
    thing = draw(root / '0.png', seed=0)[0]._replace(name='dog')
    write(root / '0.json', [shape | {'group_id': 3}, rectangle(thing, group_id=3)])
    convert(root)
    x1, y1, x2, y2 = thing.box
    truth[y1:y2, x1:x2] = True
    ((_, mask),) = masks_of(root)['0.png']
    np.testing.assert_array_equal(mask, truth)


@given(
    part=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7)),
    left=st.integers(-8, 12),
    top=st.integers(-8, 9),
)
def test_any_mask_is_where_its_points_are_as_far_as_it_is_in_the_image(part, left, top):
    file = io.BytesIO()
    Image.fromarray(part).save(file, 'PNG')
    height, width = part.shape
    shape = dict(
        label='dog',
        shape_type='mask',
        points=[[left, top], [left + width - 1, top + height - 1]],
        mask=base64.b64encode(file.getvalue()).decode(),
    )
    truth = np.zeros((9 + 20, 12 + 20), bool)  # 10 pixels around the image
    truth[10 + top : 10 + top + height, 10 + left : 10 + left + width] = part
    truth = truth[10:-10, 10:-10]
    content = dict(shapes=[shape], imageWidth=12, imageHeight=9)
    if not truth.any():
        with pytest.raises(UnusableError, match='without a pixel'):
            read_shapes(content, (12, 9))
        return
    (found,) = read_shapes(content, (12, 9)).shapes
    np.testing.assert_array_equal(coco_mask.decode(found.rle), truth)
    rows, columns = truth.nonzero()
    assert found.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_shapes_of_one_group_are_one_object(tmp_path):
    root = tmp_path / 'own'
    first, second = draw(root / '0.png', seed=0, names=('cat',))
    other = draw(root / '1.png', seed=1)
    write(root / '0.json', [outline(first, group_id=1), outline(second, group_id=1)])
    # a group with two labels is two objects
    write(root / '1.json', [rectangle(thing, group_id=1) for thing in other])
    datasets, _ = convert(root)
    box = (*np.minimum(first.box[:2], second.box[:2]), *np.maximum(first.box[2:], second.box[2:]))
    assert_equal(datasets['train'], {'0.png': [first._replace(box=box)], '1.png': other})
    ((_, mask),) = masks_of(root)['0.png']
    np.testing.assert_array_equal(mask, painted(root, '0.png')['cat'])


def test_shapes_without_area_are_counted(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(2))
    shapes = [rectangle(thing) for thing in truth['0.png']]
    shapes += [dict(label='x', shape_type=kind, points=[[1, 1]]) for kind in ('point', 'line')]
    shapes += [rectangle(truth['0.png'][0]) | {'label': '__ignore__'}]
    write(root / '0.json', shapes)
    datasets, said = convert(root)
    assert_equal(datasets['train'], truth)
    assert datasets['train'].metainfo['classes'] == ('cat', 'dog')
    assert '1 labels are left out, each a shape of type point' in said
    assert "1 labels are left out, each a shape '__ignore__'" in said


def test_where_the_image_is(tmp_path):
    """Backslashes, another folder, another computer, capital letters, a renamed pair."""
    root = tmp_path / 'own'
    truth = {
        name: draw(root / 'pictures' / name, seed=i) for i, name in enumerate(('0.png', '1.PNG'))
    }
    truth['2.png'] = draw(root / 'json' / '2.png', seed=2)
    names = '..\\pictures\\0.png', '/home/me/pictures/1.png', 'old name.png'
    for i, (name, things) in enumerate(zip(names, truth.values(), strict=True)):
        write(root / 'json' / f'{i}.json', list(map(rectangle, things)), name=name)
    (root / 'json' / '._0.json').write_bytes(b'\x00\x05\x16\x07')
    datasets, _ = convert(root)
    assert_equal(datasets['train'], truth)


def test_an_image_that_is_only_in_the_json_file(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(2))
    data = (root / '1.png').read_bytes()
    (root / '1.png').unlink()
    shapes = [rectangle(thing) for thing in truth['1.png']]
    write(root / '1.json', shapes, data=base64.b64encode(data).decode())
    datasets, said = convert(root)
    assert_equal(datasets['train'], truth)
    assert_fits(datasets['train'], boxes=4)
    assert (tmp_path / 'extracted/1.png').read_bytes() == data
    assert '1 images that are only in JSON files are in' in said
    (tmp_path / 'extracted/1.png').write_bytes(b'mine')
    with pytest.raises(FileExistsError, match=r'extracted/1\.png exists'):
        convert(root)
    write(root / '1.json', shapes, data='no picture')
    assert '1 label files have no image' in convert(root)[1]


def test_splits_and_a_list_of_labels(tmp_path):
    root = tmp_path / 'own'
    train, val = make(root / 'train', range(2)), make(root / 'val', [7])
    (root / 'labels.txt').write_text('__ignore__\n_background_\ndog\ncat\n')
    datasets, _ = convert(root)
    for split, truth in (('train', train), ('val', val)):
        assert datasets[split].metainfo['classes'] == ('dog', 'cat')
        assert_equal(datasets[split], truth)


def test_what_is_background_and_what_is_ignored(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(3))
    write(root / '1.json', [])
    write(root / '2.json', [rectangle(truth['2.png'][0], difficult=True)], size=('wide', 64))
    boxes = boxes_of(convert(root)[0]['train'])
    assert boxes['1.png'] == []
    assert boxes['2.png'] == [(*truth['2.png'][0], 1)]


SHAPES = {
    'not JSON': ('{', 'it is not JSON'),
    'no points': ([dict(label='cat', shape_type='polygon')], "shape 1: it has no 'points'"),
    'no label': ([dict(label=None, points=[[1, 1], [9, 9], [1, 9]])], 'shape 1: it has no label'),
    'no shape': ([3], 'shape 1: it has no label'),
    'two points': ([dict(label='cat', points=[[1, 1], [9, 9]])], 'a polygon of 2 points'),
    'one corner': (
        [dict(label='cat', shape_type='rectangle', points=[[1, 1]])],
        'a rectangle of 1 points',
    ),
    'nan': ([dict(label='cat', points=[[1, 1], [9, float('nan')], [3, 9]])], 'not all finite'),
    'unknown': ([dict(label='cat', shape_type='star', points=[])], "shape_type 'star' is none of"),
    'another size': (None, r'it says 50x64 .* has 96x64'),
}


@pytest.mark.parametrize('fault', SHAPES)
def test_one_image_that_cannot_be_used(tmp_path, fault):
    root = tmp_path / 'own'
    truth = make(root, range(12))
    shapes, text = SHAPES[fault]
    if isinstance(shapes, str):
        (root / '3.json').write_text(shapes)
    else:
        write(root / '3.json', shapes or [], size=SIZE if shapes else (50, 64))
    datasets, said = convert(root)
    del truth['3.png']
    assert_equal(datasets['train'], truth)
    assert re.search(rf'1 of 12 images are left out, .*3.json: .*{text}', said), said


def test_two_files_for_one_image(tmp_path):
    root = tmp_path / 'own'
    make(root, range(2))
    write(root / 'copy.json', [], name='0.png')
    with pytest.raises(ValueError, match=r'several JSON files, such as .*0.png: .*copy.json'):
        convert(root)


def test_an_image_without_a_file(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(2))
    draw(root / '9.png')
    (root / 'package.json').write_text('{"name": "other"}')
    datasets, said = convert(root)
    assert_equal(datasets['train'], truth)
    assert re.search(r'1 images have no label file, left out \(.*9.png\)', said)
