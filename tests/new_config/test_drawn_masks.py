"""Label maps drawn from outlines: each pixel has the class of the colour under it."""

import json

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image
from pycocotools import mask as coco_mask

from tests.new_config.scenes import COLOURS, configure, draw
from tests.new_config.test_rare_classes import UPERNET
from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.new_config.drawn_masks import draw_label_maps

NAMES = ('background', 'cat', 'dog')


def outline(box):
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def annotate(number, thing, **change):
    left, top, right, bottom = thing.box
    box = [left, top, right - left, bottom - top]
    annotation = {
        'id': number + 1,
        'image_id': number // 2,
        'category_id': ('cat', 'dog').index(thing.name),
        'bbox': box,
        'area': box[2] * box[3],
        'iscrowd': 0,
        'segmentation': [outline(thing.box)],
    }
    return annotation | change


def write(path, numbers, *, extra=(), changes=None):
    """Write scenes, and a file in COCO's format; ``changes`` are those of an annotation by id."""
    things = [draw(path.with_suffix('') / f'{number}.png', number) for number in numbers]
    content = {
        'images': [
            {'id': i, 'file_name': f'{number}.png', 'width': 96, 'height': 64}
            for i, number in enumerate(numbers)
        ],
        'annotations': [
            annotate(i, thing, **(changes or {}).get(i + 1, {}))
            for i, thing in enumerate(thing for scene in things for thing in scene)
        ],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(('cat', 'dog'))],
    }
    content['annotations'] += extra
    path.write_text(json.dumps(content))
    return path, things


def colours_of(path):
    """Return the class of each pixel by its colour."""
    pixels = np.asarray(Image.open(path).convert('RGB')).astype(int)
    truth = np.zeros(pixels.shape[:2], int)
    for label, name in enumerate(NAMES[1:], 1):
        truth[(pixels == COLOURS[name]).all(axis=-1)] = label
    return truth


def assert_fits(cfg, phase, number):
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build({**cfg[f'{phase}_dataloader'].dataset, 'pipeline': []})
    infos = dataset.load_data_list()
    assert dataset.metainfo['classes'] == NAMES
    assert len(infos) == number
    for info in infos:
        drawn = np.asarray(Image.open(info['seg_map_path']))
        np.testing.assert_array_equal(drawn, colours_of(info['img_path']))


def labelme(root):
    for number in range(4):
        shapes = [
            {'label': thing.name, 'shape_type': 'polygon'}
            | {'points': np.reshape(outline(thing.box), (-1, 2)).tolist()}
            for thing in draw(root / f'{number}.png', number)
        ]
        content = {'imagePath': f'{number}.png', 'imageHeight': 64, 'imageWidth': 96}
        (root / f'{number}.json').write_text(json.dumps(content | {'shapes': shapes}))


def test_files_of_coco(tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    write(root / 'train.json', range(3))
    write(root / 'val.json', [7])
    cfg, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert 'the smaller one is on top' in said
    assert_fits(cfg, 'train', 3)
    assert_fits(cfg, 'val', 1)


def test_files_of_labelme(tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    labelme(root)
    with pytest.raises(ValueError, match='--val-share'):
        configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    options = ('--backbone', 'tnt_ti', '--val-share', '0.25')
    cfg, _ = configure(root, *options, config=UPERNET)
    assert_fits(cfg, 'train', 3)
    assert_fits(cfg, 'val', 1)


def drawn(tmp_path, **options):
    path, things = write(tmp_path / 'train.json', [0, 1], **options)
    files = {'train': (read_coco(path), tmp_path / 'train')}
    drawing = draw_label_maps(files, tmp_path / 'maps')
    labels = np.asarray(Image.open(tmp_path / 'maps/train/0.png'))
    return labels, things[0], (tmp_path / 'maps/classes.txt').read_text().split(), drawing.notes


def test_smaller_objects_are_on_top(tmp_path):
    whole = annotate(0, draw(tmp_path / 'x.png')[0], id=9, category_id=1, area=50 * 96)
    whole |= {'bbox': [0, 0, 96, 50], 'segmentation': [outline((0, 0, 96, 50))]}
    labels, things, _, _ = drawn(tmp_path, extra=[whole])
    expected = np.zeros((64, 96), int)
    expected[:50] = 2
    for thing in things:
        left, top, right, bottom = thing.box
        expected[top:bottom, left:right] = 1 + ('cat', 'dog').index(thing.name)
    np.testing.assert_array_equal(labels, expected)


def test_crowds_are_ignored_pixels_below_the_objects(tmp_path):
    pixels = np.zeros((64, 96), np.uint8, order='F')
    pixels[:, 40:] = 1
    runs = coco_mask.encode(pixels)
    crowd = annotate(0, draw(tmp_path / 'x.png')[0], id=9, iscrowd=1)
    crowd['segmentation'] = {'size': [64, 96], 'counts': runs['counts'].decode()}
    labels, _, _, _ = drawn(tmp_path, extra=[crowd])
    truth = colours_of(tmp_path / 'train/0.png')
    np.testing.assert_array_equal(labels, np.where((truth == 0) & (pixels == 1), 255, truth))


def test_crowds_only_are_refused(tmp_path):
    runs = coco_mask.encode(np.ones((64, 96), np.uint8, order='F'))
    masks = {'size': [64, 96], 'counts': runs['counts'].decode()}
    crowd = {'iscrowd': 1, 'segmentation': masks, 'bbox': [0, 0, 96, 64]}
    with pytest.raises(ValueError, match=r'All 4 annotations are marked as crowds.*iscrowd=0'):
        drawn(tmp_path, changes=dict.fromkeys(range(1, 5), crowd))


def test_without_background_there_is_no_such_class(tmp_path):
    box = {'segmentation': [outline((0, 0, 96, 64))], 'area': 96 * 64}
    labels, _, classes, _ = drawn(tmp_path, changes={1: box, 3: box})
    assert classes == ['cat', 'dog']
    truth = colours_of(tmp_path / 'train/0.png')
    np.testing.assert_array_equal(labels, np.where(truth == 2, 1, 0))


def test_few_boxes_without_an_outline_are_ignored_pixels(tmp_path):
    many = [annotate(0, draw(tmp_path / 'x.png')[0], id=100 + i) for i in range(20)]
    labels, things, _, notes = drawn(tmp_path, extra=many, changes={2: {'segmentation': []}})
    left, top, right, bottom = things[1].box
    assert (labels[top:bottom, left:right] == 255).all()
    assert '1 objects have no outline' in notes[0]


@pytest.mark.parametrize(
    ('change', 'said'),
    [({'segmentation': []}, r'1 of 4 .*\b2\b'), ({'segmentation': [[1, 2, 3, 4]]}, r'3 points')],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        drawn(tmp_path, changes={2: change})


@pytest.mark.parametrize('name', ['../0.png', '/tmp/0.png'])
def test_label_maps_stay_below_their_folder(tmp_path, name):
    path, _ = write(tmp_path / 'train.json', [0])
    content = json.loads(path.read_text())
    content['images'][0]['file_name'] = name
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='not below the folder'):
        draw_label_maps({'train': (read_coco(path), tmp_path / 'train')}, tmp_path / 'maps')
    assert not list(tmp_path.glob('maps/**/*.png'))
    assert not (tmp_path / '0.png').exists()


def rows_of(box):
    """Return run lengths along rows, as scikit-image or NumPy count by default."""
    left, top, right, bottom = box
    mask = np.zeros((64, 96), np.uint8)
    mask[top:bottom, left:right] = 1
    starts = np.flatnonzero(np.diff(mask.ravel())) + 1
    return {'size': [64, 96], 'counts': np.diff([0, *starts, mask.size]).tolist()}


@pytest.mark.parametrize(
    'change',
    [
        lambda box: {'segmentation': rows_of(box)},
        lambda box: {'segmentation': [[v for x, y in corners(box) for v in (y, x)]]},
        lambda box: {'segmentation': [[v for x, y in corners(box) for v in (x / 96, y / 64)]]},
    ],
)
def test_outlines_in_another_form(tmp_path, change):
    path, things = write(tmp_path / 'a.json', range(3))
    changes = {
        i + 1: change(thing.box) for i, thing in enumerate(t for scene in things for t in scene)
    }
    path, _ = write(tmp_path / 'a.json', range(3), changes=changes)
    file = read_coco(path)
    with pytest.raises(ValueError, match='masks may be in another form'):
        draw_label_maps({'train': (file, tmp_path / 'a')}, tmp_path / 'drawn')


def corners(box):
    points = outline(box)
    return zip(points[::2], points[1::2], strict=True)


def test_right_outlines_of_boxes_in_another_form(tmp_path):
    path, things = write(tmp_path / 'a.json', range(3))
    changes = {i + 1: {'bbox': list(t.box)} for i, t in enumerate(t for s in things for t in s)}
    path, _ = write(tmp_path / 'a.json', range(3), changes=changes)
    drawing = draw_label_maps({'train': (read_coco(path), tmp_path / 'a')}, tmp_path / 'drawn')
    assert drawing.places


def test_objects_of_no_listed_category(tmp_path):
    path, _ = write(tmp_path / 'a.json', range(3), changes={1: {'category_id': 7}})
    drawing = draw_label_maps({'train': (read_coco(path), tmp_path / 'a')}, tmp_path / 'drawn')
    assert any('1 objects are of no listed category' in note for note in drawing.notes)
    labels = np.asarray(Image.open(tmp_path / 'drawn/train/0.png'))
    assert 255 in labels
    changes = {i + 1: {'category_id': 1 + i % 2} for i in range(6)}
    path, _ = write(tmp_path / 'a.json', range(3), changes=changes)
    with pytest.raises(ValueError, match='counted from another number'):
        draw_label_maps({'train': (read_coco(path), tmp_path / 'a')}, tmp_path / 'drawn')
