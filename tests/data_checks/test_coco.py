"""The report on annotations, compared with what MMDetection makes of the same file."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mmdet.datasets import CocoDataset, Objects365V1Dataset
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools import mask as coco_mask

from tnt_backbone.data_checks.coco import (
    _lie_in_a_corner,
    _lie_outside,
    _looks_like_corners,
    check_coco,
)
from tnt_backbone.data_checks.coco_masks import find_mask_fault


def dataset(root, *, kind=CocoDataset, **kwargs):
    init_default_scope('mmdet')
    arguments = {
        'data_root': str(root),
        'ann_file': 'train.json',
        'data_prefix': {'img': 'images/'},
        'metainfo': {'classes': ('box', 'disc')},
        'filter_cfg': {'filter_empty_gt': True},
        'lazy_init': True,
        **kwargs,
    }
    return kind(**arguments)


def edit(root, change):
    path = root / 'train.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_clean_annotations_need_no_word(coco_root):
    assert check_coco(dataset(coco_root)) == []


def test_what_is_asked_of_the_data_set_does_not_grow_with_the_boxes(coco_root, monkeypatch):
    """MMEngine copies the classes each time: 13 minutes for the boxes of COCO."""
    asked = []
    metainfo = CocoDataset.metainfo
    monkeypatch.setattr(
        CocoDataset, 'metainfo', property(lambda self: asked.append(1) or metainfo.fget(self))
    )
    counts = []
    for copies in (1, 10):
        edit(
            coco_root,
            lambda content, copies=copies: content.update(
                annotations=[
                    {**box, 'id': 1000 * copy + box['id'], 'area': box['area'] + copy}
                    for copy in range(copies)
                    for box in content['annotations']
                ]
            ),
        )
        asked.clear()
        check_coco(dataset(coco_root))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_what_mmdet_drops_is_counted(coco_root):
    shape = {'image_id': 0, 'category_id': 1, 'iscrowd': 0}

    def change(content):
        content['annotations'] += [
            {**shape, 'id': 20, 'bbox': [5, 5, 0, 10], 'area': 0},
            {**shape, 'id': 21, 'bbox': [70, 5, 10, 10], 'area': 100},  # outside
            {**shape, 'id': 22, 'bbox': [5, 5, 0.5, 10], 'area': 5},
            {**shape, 'id': 23, 'bbox': [60, 5, 10, 10], 'area': 100},  # partly inside: kept
        ]
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] != 3]

    edit(coco_root, change)
    flat, empty = check_coco(dataset(coco_root))
    assert re.search(r'\b4\b.*\b7\b.*\b3\b.*\b20, 21, 22\b', flat)
    assert re.search(r'\b1\b.*\b3\.jpg', empty)

    theirs = dataset(coco_root, lazy_init=False)
    assert len(theirs) == 4 - 1
    assert sum(len(theirs.get_data_info(i)['instances']) for i in range(3)) == 7 - 3

    _, note = check_coco(dataset(coco_root, test_mode=True))
    assert '3.jpg' in note
    assert note != empty  # it is not left out there


BOXES = {
    'one pixel': [5, 5, 1, 1],
    'one pixel wide': [5, 5, 1, 20],
    'one pixel high': [5, 5, 20, 1],
    'narrower': [5, 5, 0.99, 20],
    'flatter': [5, 5, 20, 0.99],
    'less than a pixel of it inside': [63.5, 63.5, 9, 9],
    'touches the edge from outside': [64, 5, 9, 9],
    'ends where the image begins': [-9, 5, 9, 9],
    'begins before the image': [-9, -9, 10, 10],
}


@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES)
def test_the_boxes_that_are_left_out_are_mmdets(coco_root, box):
    entry = {'id': 20, 'image_id': 0, 'category_id': 1, 'iscrowd': 0, 'bbox': box, 'area': 9}
    edit(coco_root, lambda content: content['annotations'].append(entry))
    theirs = dataset(coco_root, lazy_init=False).get_data_info(0)['instances']
    left_out = any(re.search(r'\bids 20\b', note) for note in check_coco(dataset(coco_root)))
    assert left_out == (len(theirs) == 1)


def test_missing_image_files_are_counted_unless_mmdet_never_reads_them(coco_root):
    (coco_root / 'images' / '3.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'\b1\b.*\b4\b.*train\.json.*images.*\b3\.jpg'):
        check_coco(dataset(coco_root))
    edit(coco_root, lambda content: content['annotations'].pop())
    (note,) = check_coco(dataset(coco_root))
    assert '3.jpg' in note


def test_classes_that_the_file_lacks_are_an_error(coco_root):
    with pytest.raises(ValueError, match=r'person, bicycle, car, \.\.\..*box, disc.*metainfo'):
        check_coco(dataset(coco_root, metainfo=None))  # COCO's 80
    with pytest.raises(ValueError, match=r'\bb, o, x\b.*metainfo.*comma'):
        check_coco(dataset(coco_root, metainfo={'classes': 'box'}))


def test_a_subset_is_noted(coco_root):
    (note,) = check_coco(dataset(coco_root, metainfo={'classes': ('disc',)}))
    assert re.search(r'\b1 \(box\)', note)


def test_classes_in_another_order_are_an_error_for_names_would_be_exchanged(coco_root):
    other = {'metainfo': {'classes': ('disc', 'box')}}
    theirs = dataset(coco_root, lazy_init=False, **other)
    content = json.loads((coco_root / 'train.json').read_text())
    called = {
        category['name']: theirs.metainfo['classes'][theirs.cat2label[category['id']]]
        for category in content['categories']
    }
    assert called == {'box': 'disc', 'disc': 'box'}
    with pytest.raises(ValueError, match=r"train\.json.*call 'box' 'disc'.*metainfo.*: box, disc"):
        check_coco(dataset(coco_root, **other))


def test_a_class_that_reads_the_file_in_its_own_way_may_number_as_the_config(coco_root):
    other = {'metainfo': {'classes': ('disc', 'box')}}
    edit(
        coco_root,
        lambda content: [entry.update(id=3 - entry['id']) for entry in content['categories']],
    )
    theirs = dataset(coco_root, kind=Objects365V1Dataset, lazy_init=False, **other)
    assert theirs.cat_ids == [1, 2]  # sorted
    (note,) = check_coco(dataset(coco_root, kind=Objects365V1Dataset, **other))
    assert 'train.json' in note


def test_files_that_are_not_coco(coco_root):
    path = coco_root / 'train.json'
    whole = path.read_text()
    path.write_text(whole[:100])
    with pytest.raises(ValueError, match=r'train\.json.*JSON'):
        check_coco(dataset(coco_root))
    path.write_text('{"shapes": []}')
    with pytest.raises(ValueError, match=r'"images".*\[\'shapes\'\]'):
        check_coco(dataset(coco_root))
    path.write_text(whole)
    edit(coco_root, lambda content: content['annotations'][1].pop('area'))
    with pytest.raises(ValueError, match=r'"annotations".*\barea\b'):
        check_coco(dataset(coco_root))


BOX = r'\bbbox\b.*\[x, y, width, height\].*\bids 10\b'
BROKEN = {
    'three numbers': (lambda c: c['annotations'][0].update(bbox=[1, 1, 4]), BOX),
    'null': (lambda c: c['annotations'][0].update(bbox=None), BOX),
    'text': (lambda c: c['annotations'][0].update(bbox=['1'] * 4), BOX),
    'NaN': (lambda c: c['annotations'][0]['bbox'].__setitem__(0, float('nan')), BOX),
    'image id': (lambda c: c['images'][1].update(id=0), r'\bids\b.*"images".*\(0\)'),
    'annotation id': (
        lambda c: c['annotations'][1].update(id=10),
        r'\bids\b.*"annotations".*\(10\)',
    ),
    'name': (
        lambda c: c['categories'].append({'id': 3, 'name': 'box'}),
        r'train\.json.*\bname box\b',
    ),
    'no box': (lambda c: c['annotations'].clear(), r'train\.json.*\b0 boxes\b'),
    'shares': (
        lambda c: [box.update(bbox=[0.1, 0.2, 0.3, 0.4]) for box in c['annotations']],
        r'train\.json.*\b4 boxes\b.*\bshares\b',
    ),
    'repeated': (
        lambda c: c['annotations'].append({**c['annotations'][1], 'id': 77}),
        r'train\.json.*\b1 of 5\b.*\bids 77\b',
    ),
    'crowds': (
        lambda c: [box.update(iscrowd=1) for box in c['annotations']],
        r'train\.json.*\b4 boxes\b.*All 4 annotations are marked as crowds.*set iscrowd=0',
    ),
}


@pytest.mark.parametrize('fault', BROKEN)
def test_what_training_would_fail_on_or_learn_wrongly(coco_root, fault):
    change, message = BROKEN[fault]
    edit(coco_root, change)
    with pytest.raises(ValueError, match=message):
        check_coco(dataset(coco_root))


def test_boxes_of_unlisted_categories_are_noted(coco_root):
    edit(coco_root, lambda content: content['annotations'][0].update(category_id=7))
    (note,) = check_coco(dataset(coco_root))
    assert re.search(r'\b1\b.*\bids 10\b', note)
    theirs = dataset(coco_root, lazy_init=False, filter_cfg=None)
    assert theirs.get_data_info(0)['instances'] == []


def test_a_test_set_needs_no_annotations(coco_root):
    edit(coco_root, lambda content: content.pop('annotations'))
    assert check_coco(dataset(coco_root, test_mode=True)) == []
    with pytest.raises(ValueError, match=r'train\.json.*"annotations".*docs/datasets\.md'):
        check_coco(dataset(coco_root))


def test_boxes_of_unknown_images(coco_root):
    edit(coco_root, lambda content: content['images'].pop())
    with pytest.raises(ValueError, match=r'train\.json.*\bids 13\b'):
        check_coco(dataset(coco_root))


def test_boxes_without_a_mask_where_masks_are_read(coco_root):
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True},
    ]

    def change(content):
        for box in content['annotations'][1:]:
            box['segmentation'] = [[16, 16, 40, 16, 40, 48]]
        content['annotations'].append({**content['annotations'][0], 'id': 20, 'area': 0})

    edit(coco_root, change)
    assert check_coco(dataset(coco_root))  # the flat box; masks are not read
    with pytest.raises(ValueError, match=r'\b1\b.*\b4\b.*"segmentation".*\bids 10\b'):
        check_coco(dataset(coco_root, pipeline=pipeline))
    theirs = dataset(coco_root, pipeline=pipeline, lazy_init=False)
    with pytest.raises(KeyError, match='mask'):  # what training would end with
        theirs[0]
    edit(coco_root, lambda content: content['annotations'].pop(0))
    check_coco(dataset(coco_root, pipeline=pipeline))


@given(
    mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_run_lengths_are_of_the_size_of_their_image(mask, size):
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    written = {**runs, 'counts': runs['counts'].decode()}
    for height, width in (size, mask.shape):
        fault = find_mask_fault(written, height, width)
        assert (fault is not None) == ((height, width) != mask.shape)


POLYGONS = {
    'triangle': ([[0, 0, 5, 0, 5, 5]], False),
    'four corners': ([[0, 0, 5, 0, 5, 5.5, 0, 5]], False),
    'two polygons': ([[0, 0, 5, 0, 5, 5], [1, 1, 2, 1, 2, 2]], False),
    'none': ([], False),  # reported as a box without a mask
    'two points': ([[0, 0, 5, 5]], True),
    'five numbers': ([[0, 0, 5, 0, 5]], True),
    'seven numbers': ([[0, 0, 5, 0, 5, 5, 1]], True),
    'nine numbers': ([[0, 0, 5, 0, 5, 5, 1, 1, 1]], True),
    'a text': ([[0, 0, 5, 0, 5, '5']], True),
    'pairs': ([[[0, 0], [5, 0], [5, 5]]], True),
    'flat': ([0, 0, 5, 0, 5, 5], True),
    'the second is bad': ([[0, 0, 5, 0, 5, 5], [0, 0]], True),
    'empty run lengths': ({'size': [9, 9], 'counts': ''}, True),
    'no run lengths': ({'size': [9, 9]}, True),
    'run lengths without a size': ({'counts': [81]}, True),
    'run lengths': ({'size': [9, 9], 'counts': [81]}, False),
    'a number': (5, True),
}


@pytest.mark.parametrize(('segmentation', 'fault'), POLYGONS.values(), ids=POLYGONS)
def test_which_masks_pycocotools_reads(segmentation, fault):
    assert (find_mask_fault(segmentation, 9, 9) is not None) == fault
    if segmentation and not fault:
        runs = coco_mask.frPyObjects(segmentation, 9, 9)
        assert coco_mask.decode(runs).shape[:2] == (9, 9)


corners = st.tuples(*[st.integers(0, 20), st.integers(1, 10)] * 2).map(
    lambda sides: (sides[0], sides[2], sides[0] + sides[1], sides[2] + sides[3])
)


@given(
    inner=st.lists(corners, min_size=1, max_size=9),
    outer=st.lists(st.integers(17, 29), min_size=3, max_size=9),
)
def test_boxes_as_corners_are_told_from_boxes(inner, outer):
    """At least every fourth reaches from beyond the middle to the edge of 30 x 30 pixels."""
    boxes = [*inner, *((side, side, 30, 30) for side in outer)]
    right = [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
    over = sum(x1 + x2 > 31 or y1 + y2 > 31 for x1, y1, x2, y2 in boxes)
    assert _looks_like_corners(boxes_in(30, right)) == ''
    assert _looks_like_corners(boxes_in(30, boxes)).startswith(f'{over} of {len(boxes)} boxes')


def boxes_in(side, boxes):
    entries = [{'image_id': 1, 'bbox': list(box)} for box in boxes]
    return SimpleNamespace(images={1: {'height': side, 'width': side}}, boxes=entries)


OVER, INSIDE = (9, 9, 23, 12), (1, 1, 9, 9)
KINDS_OF_BOXES = {
    'over the right edge by more than a pixel': ([OVER] * 4, True),
    'over the lower edge by more than a pixel': ([(9, 9, 12, 23)] * 4, True),
    'over the edge by a pixel, as it is rounded': ([(9, 9, 22, 22)] * 4, False),
    'too few to tell': ([OVER] * 3, False),
    'a fifth': ([OVER] * 2 + [INSIDE] * 8, True),
    'less than a fifth': ([OVER] * 2 + [INSIDE] * 9, False),
    'all but one in a hundred': ([OVER] * 99 + [(19, 9, 9, 12)], True),
    'some are too narrow': ([OVER] * 98 + [(19, 9, 9, 12)] * 2, False),
    'some are too flat': ([OVER] * 98 + [(9, 19, 12, 9)] * 2, False),
    'at the edge as corners': ([(9, 9, 31, 31)] * 4, True),
    'too wide as corners': ([(9, 9, 32, 31)] * 4, False),
    'too high as corners': ([(9, 9, 31, 32)] * 4, False),
}


@pytest.mark.parametrize('side', [30, 31])
@pytest.mark.parametrize(('boxes', 'found'), KINDS_OF_BOXES.values(), ids=KINDS_OF_BOXES)
def test_how_many_boxes_must_be_corners(boxes, found, side):
    more = side - 30
    moved = [(x, y, third + more, fourth + more) for x, y, third, fourth in boxes]
    assert bool(_looks_like_corners(boxes_in(side, moved))) == found


@pytest.mark.parametrize('right', [False, True])
def test_areas_tell_corners_that_stay_inside(right):
    file = boxes_in(64, [(9, 9, 12, 12) if right else (9, 9, 21, 21)] * 4)
    for box in file.boxes:
        box['area'] = 144
    assert ('4 of 4 boxes have the area' in _looks_like_corners(file)) is not right


@pytest.mark.parametrize('moved', [0, 12])
def test_boxes_that_leave_their_images_are_a_note(coco_root, moved):
    """Such as boxes whose first numbers are centres."""
    edit(coco_root, lambda content: [
        box.update(bbox=[moved + 48, 8, 16, 16], area=256) for box in content['annotations']
    ])  # fmt: skip
    notes = ' '.join(check_coco(dataset(coco_root)))
    assert ('4 boxes leave their images' in notes) == bool(moved)


def test_a_file_of_which_no_box_can_be_trained_on(coco_root):
    """Also where images of the background are kept: boxes as shares of the image."""
    edit(coco_root, lambda content: [
        box.update(bbox=[0.1, 0.1, 0.2, 0.2], area=0.04) for box in content['annotations']
    ])  # fmt: skip
    with pytest.raises(ValueError, match=r'none of its 4 boxes.*shares of the image'):
        check_coco(dataset(coco_root, filter_cfg={'filter_empty_gt': False}))


def test_images_under_the_least_size_are_counted_as_mmdet_leaves_them_out(coco_root):
    def change(content):
        for image, sides in zip(content['images'], ((64, 31), (31, 64), (32, 32)), strict=False):
            image.update(width=sides[0], height=sides[1])
            Image.new('RGB', sides).save(coco_root / 'images' / image['file_name'])
        for box in content['annotations']:
            box.update(bbox=[1, 1, 5, 5], area=25)

    edit(coco_root, change)
    small = dict(filter_cfg={'filter_empty_gt': True, 'min_size': 32})
    (note,) = [n for n in check_coco(dataset(coco_root, **small)) if 'min_size=32' in n]
    assert re.search(r'\b2 of 4\b.*\(0\.jpg, 1\.jpg\)', note)
    assert len(dataset(coco_root, lazy_init=False, **small)) == 4 - 2
    assert check_coco(dataset(coco_root)) == []
    assert check_coco(dataset(coco_root, filter_cfg=None)) == []
    with pytest.raises(ValueError, match=r'\b4 of 4\b.*min_size=65\b'):
        check_coco(dataset(coco_root, filter_cfg={'min_size': 65}))


def test_all_errors_are_told_at_once(coco_root):
    edit(coco_root, lambda content: [box.update(iscrowd=1) for box in content['annotations']])
    with pytest.raises(ValueError, match=r'\bperson\b.*metainfo') as error:
        check_coco(dataset(coco_root, metainfo=None))
    assert re.search(r'\b4 boxes\b.*\bcrowd', str(error.value))


@pytest.mark.parametrize('number', [0, -3, 'a'])
def test_ids_that_the_evaluation_takes_for_none(coco_root, number):
    """Pycocotools counts a box with the id 0 as missed, whatever is predicted."""
    edit(coco_root, lambda content: content['annotations'][2].update(id=number))
    with pytest.raises(ValueError, match=rf'1 annotations have an id\b.*\(ids {number}\)'):
        check_coco(dataset(coco_root, test_mode=True))
    assert check_coco(dataset(coco_root)) == []


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le'])
def test_an_encoding_that_mmdetection_fails_at_is_an_error(coco_root, encoding):
    path = coco_root / 'train.json'
    path.write_text(path.read_text(), encoding=encoding)
    with pytest.raises(ValueError, match=r'train\.json.*UTF-8'):
        check_coco(dataset(coco_root))
    with pytest.raises(ValueError, match=r'codec|BOM|property'):
        dataset(coco_root, lazy_init=False)


def test_crowds_only_are_said_where_nothing_is_measured(coco_root):
    edit(coco_root, lambda content: [box.update(iscrowd=1) for box in content['annotations']])
    with pytest.raises(ValueError, match=r'-1.*All 4 annotations are marked as crowds.*iscrowd=0'):
        check_coco(dataset(coco_root, test_mode=True))


def test_many_crowds_in_a_class_are_told(coco_root):
    edit(coco_root, lambda content: content['annotations'][1].update(iscrowd=1))
    labels = [
        box['category_id']
        for box in json.loads((coco_root / 'train.json').read_text())['annotations']
    ]
    (note,) = check_coco(dataset(coco_root))
    name = {1: 'box', 2: 'disc'}[labels[1]]
    assert f'({name}: 1 of {labels.count(labels[1])})' in note
    ignored = dataset(coco_root, lazy_init=False).get_data_info(1)['instances'][0]['ignore_flag']
    assert ignored == 1


@pytest.mark.parametrize('shift', [-1, 1])
def test_category_ids_that_are_counted_from_another_number_are_an_error(coco_root, shift):
    """MMDetection would leave one class out, and take each other one for its neighbour."""

    def change(content):
        for box in content['annotations']:
            box['category_id'] += shift

    edit(coco_root, change)
    with pytest.raises(ValueError, match=rf'category_ids .*with {re.escape(format(-shift, "+d"))}'):
        check_coco(dataset(coco_root))


def scatter(factor, number=30, side=100):
    """Return a COCO file's boxes of any place, times a factor."""
    rng = np.random.default_rng(0)
    images = {i: {'id': i, 'width': side, 'height': side} for i in range(number)}
    boxes = [
        {'id': i + 1, 'image_id': i, 'bbox': [factor * value for value in (*corner, 15, 15)]}
        for i, corner in enumerate(rng.integers(5, side - 20, (number, 2)).tolist())
    ]
    return SimpleNamespace(images=images, boxes=boxes)


def test_boxes_of_larger_images_are_an_error():
    for factor, wrong in ((1, False), (1.1, False), (2, True), (4, True)):
        text = _lie_outside(scatter(factor))
        assert ('boxes lie outside their images' in text) == wrong
    file = scatter(1)
    for box in file.boxes[:8]:
        box['bbox'][:2] = box['bbox'][0] - 200, box['bbox'][1]
    assert '8 of 30 boxes' in _lie_outside(file)
    file.boxes[7]['bbox'][0] += 200
    assert not _lie_outside(file)


def test_boxes_of_smaller_images_are_said():
    for factor, wrong in ((1, False), (0.7, False), (0.5, True), (0.1, True)):
        text = _lie_in_a_corner(scatter(factor))
        assert ('all 30 boxes of 30 images lie in their upper left quarter' in text) == wrong
    assert not _lie_in_a_corner(scatter(0.5, number=19))


def test_what_is_said_of_boxes_of_other_sizes(coco_root):
    def move(content):
        for box in content['annotations']:
            box['bbox'][0] += 10_000

    edit(coco_root, move)
    with pytest.raises(ValueError, match=r'train\.json: .* boxes lie outside their images'):
        check_coco(dataset(coco_root))


def test_boxes_that_are_ignored_are_counted_as_mmdet_leaves_them_out(coco_root):
    before = sum(len(info['instances']) for info in load(coco_root))
    edit(coco_root, lambda content: content['annotations'][0].update(ignore=1))
    assert sum(len(info['instances']) for info in load(coco_root)) == before - 1
    (note,) = [note for note in check_coco(dataset(coco_root)) if 'ignore=1' in note]
    assert 'boxes with ignore=1, left out: 1 (annotation ids 10)' in note


def load(root):
    """Return what MMDetection reads, without leaving out images."""
    whole = dataset(root, lazy_init=False, filter_cfg=None)
    return [whole.get_data_info(i) for i in range(len(whole))]
