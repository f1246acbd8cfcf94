"""What a file's header says beside its pixels."""

import cv2
import numpy as np
import pytest
from mmdet.datasets import XMLDataset
from PIL import Image

from tnt_backbone.data_checks.files import (
    _look_at_boxes,
    _look_at_header,
    _look_at_label,
    _look_at_mask,
    _plan_voc,
    _read_xml,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def kinds(findings):
    return [finding.kind for finding in findings]


@pytest.mark.parametrize('suffix', ['png', 'webp'])
@pytest.mark.parametrize('frames', [1, 2])
def test_an_animation_is_said_to_be_turned_where_it_is(tmp_path, suffix, frames):
    path = str(tmp_path / f'a.{suffix}')
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {'save_all': True, 'append_images': [Image.fromarray(255 - PIXELS)]}
    Image.fromarray(PIXELS).save(path, exif=exif.tobytes(), **(more if frames > 1 else {}))
    is_turned = cv2.imread(path).shape[:2] == (60, 40)
    assert bool(kinds(_look_at_header(path))) == is_turned


@pytest.mark.parametrize(('turn', 'found'), [(1, []), (9, []), (3, [True]), (6, [True])])
def test_a_picture_that_exif_turns_is_named(tmp_path, turn, found):
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(PIXELS).save(path, exif=exif.tobytes())
    expected = ['image that is turned by EXIF' for _ in found]  # 9 has no meaning
    assert kinds(_look_at_header(str(path))) == expected
    # annotations of a tool that read the size of the stored picture
    item = {'path': str(path), 'size': (40, 60), 'categories': {1}, 'boxes': [(1, 1, (0, 0, 9, 9))]}
    problems = _look_at_boxes(item)
    is_wrong = turn == 6
    assert ('image has another size than the annotations say' in kinds(problems)) == is_wrong
    assert any('EXIF' in problem.text for problem in problems) == bool(found)


@pytest.mark.parametrize(
    ('dtype', 'found'),
    [(np.uint8, []), (np.uint16, [True]), (np.int32, [True]), (np.float32, [True])],
)
def test_more_than_8_bits_are_named(tmp_path, dtype, found):
    path = tmp_path / 'a.tif'
    Image.fromarray(PIXELS[..., 0].astype(dtype)).save(path)
    assert kinds(_look_at_header(str(path))) == ['image of more than 8 bits' for _ in found]
    if dtype in (np.uint8, np.uint16):  # colours, which Pillow opens as those of 8 bits
        for name in ('a.png', 'b.tif'):
            cv2.imwrite(str(tmp_path / name), PIXELS.astype(dtype))
            kind = kinds(_look_at_header(str(tmp_path / name)))
            assert kind == ['image of more than 8 bits' for _ in found]


def test_what_pillow_cannot_open_is_passed_over(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'no picture')
    assert _look_at_header(str(tmp_path / 'a.jpg')) == []


BOXES = {  # in 40 x 60 pixels
    (0, 0, 60, 40): '',
    (0, 0, 61, 40): '',  # rounded to pixels
    (0, 0, 60, 41): '',
    (5, 7, 56, 34): '',
    (0, 0, 61.5, 40): 'box reaches over the edge',
    (0, 0, 60, 41.5): 'box reaches over the edge',
    (5, 0, 56.5, 9): 'box reaches over the edge',
    (0, 7, 9, 34.5): 'box reaches over the edge',
    (-1, 0, 9, 9): 'box reaches over the edge',
    (0, -1, 9, 9): 'box reaches over the edge',
    (59.5, 39.5, 1, 1): '',
    (60, 0, 9, 9): 'box outside its image',
    (0, 40, 9, 9): 'box outside its image',
    (-9, 0, 9, 9): 'box outside its image',
    (0, -9, 9, 9): 'box outside its image',
    (5, 5, 0, 9): 'box without area',
    (5, 5, 9, 0): 'box without area',
    (5, 5, 9, -1): 'box without area',
    (5, 5, 0.5, 0.5): '',
}


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(PIXELS).save(path)
    return str(path)


@pytest.mark.parametrize(('box', 'kind'), BOXES.items(), ids=str)
def test_boxes_at_the_edge(picture, box, kind):
    item = {'path': picture, 'size': None, 'categories': {1}, 'boxes': [(7, 1, box)]}
    problems = _look_at_boxes(item)
    assert kinds(problems) == ([kind] if kind else [])
    for problem in problems:
        assert problem.file.endswith('a.png, annotation 7')
        assert problem.text == f'{list(box)} in 40x60'


@pytest.mark.parametrize(
    ('size', 'text'),
    [
        ((40, 60), None),
        ((60, 40), '40x60, not 60x40. Height and width'),
        ((40, 61), '40x60, not 40x61'),
        ((30, 50), '40x60, not 30x50'),
    ],
    ids=str,
)
def test_sizes_are_told_and_compared(picture, size, text):
    item = {'path': picture, 'size': size, 'categories': {1}, 'boxes': [(7, 1, (0, 0, 9, 9))]}
    problems = _look_at_boxes(item)
    assert kinds(problems) == ['image has another size than the annotations say'] * bool(text)
    assert all(problem.text.startswith(text) for problem in problems)
    assert all(('EXIF' in problem.text) == (size == (60, 40)) for problem in problems)


@pytest.mark.parametrize('shape', [(40, 60), (40, 59), (41, 60), (60, 40)], ids=str)
def test_masks_are_of_the_size_of_their_images(picture, tmp_path, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / 'mask.png')
    options = {'num_classes': 2, 'reduce_zero_label': False, 'new_labels': {}}
    problems = _look_at_mask({'path': picture, 'mask': str(tmp_path / 'mask.png'), **options})
    wrong = [p.text for p in problems if p.kind == 'mask has another size than its image']
    assert wrong == ([] if shape == (40, 60) else [f'{shape[0]}x{shape[1]}, not 40x60'])


@pytest.mark.parametrize(
    ('reduce_zero_label', 'new_labels', 'wrong'),
    [(False, {}, [2, 7, 9]), (True, {}, [6, 8]), (False, {7: 0, 9: 255}, [2])],
)
def test_labels_out_of_range(picture, tmp_path, reduce_zero_label, new_labels, wrong):
    mask = np.zeros((40, 60), np.uint8)
    mask[0, :4] = (2, 7, 9, 255)
    mask[1] = 1
    Image.fromarray(mask).save(tmp_path / 'mask.png')
    options = {'reduce_zero_label': reduce_zero_label, 'new_labels': new_labels}
    item = {'path': picture, 'mask': str(tmp_path / 'mask.png'), 'num_classes': 2, **options}
    (problem,) = [p for p in _look_at_mask(item) if p.kind == 'label out of range']
    assert problem.text == f'{wrong} of classes 0 to 1'
    assert problem.is_error


@pytest.mark.parametrize(
    ('label', 'text'), [(0, None), (4, None), (None, None), (5, '5'), (-1, '-1')]
)
def test_one_label_for_each_image(picture, label, text):
    item = {'path': picture, 'is_file': True, 'label': label, 'num_classes': 5}
    problems = _look_at_label(item)
    assert [(p.kind, p.text) for p in problems] == (
        [('label out of range', f'{text} of classes 0 to 4')] if text else []
    )


@pytest.mark.parametrize(
    ('size', 'found'),
    [('<size><width>60</width><height>40</height></size>', (40, 60)), ('', None)],
)
def test_what_is_read_of_pascal_voc(tmp_path, size, found):
    box = '<xmin>1</xmin><ymin>3</ymin><xmax>20.6</xmax><ymax>40</ymax>'
    thing = f'<object><name>cat</name><bndbox>{box}</bndbox></object>'
    (tmp_path / 'a.xml').write_text(f'<annotation>{size}{thing}{thing}</annotation>')
    boxes = [(i, 'cat', [0, 2, 19, 37]) for i in range(2)]  # counted from 0
    assert _read_xml(tmp_path / 'a.xml') == (found, boxes)


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('filter_cfg', [None, {'filter_empty_gt': True}])
@pytest.mark.parametrize('category', ['cat', 'dog'])
def test_voc_without_a_box_is_an_error_where_empty_pictures_are_dropped(
    tmp_path, test_mode, filter_cfg, category
):
    (tmp_path / 'Annotations').mkdir()
    box = '<xmin>1</xmin><ymin>3</ymin><xmax>20</xmax><ymax>40</ymax>'
    thing = f'<object><name>{category}</name><bndbox>{box}</bndbox></object>'
    (tmp_path / 'Annotations/a.xml').write_text(f'<annotation>{thing}</annotation>')
    (tmp_path / 'train.txt').write_text('a\n')
    dataset = XMLDataset(
        ann_file='train.txt', data_root=str(tmp_path), data_prefix={'sub_data_root': ''},
        metainfo={'classes': ('cat',)}, lazy_init=True, test_mode=test_mode, filter_cfg=filter_cfg,
    )  # fmt: skip
    found = kinds(_plan_voc(dataset).found)
    expected = category == 'dog' and not test_mode and filter_cfg is not None
    assert ('no box to train on' in found) == expected
