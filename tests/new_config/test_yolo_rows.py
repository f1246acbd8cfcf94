"""Rows of label files: a box, a polygon, or a box with keypoints that nothing announced."""

import json

import pytest

from tests.new_config.scenes import assert_fits, boxes_of, convert_folder
from tests.new_config.test_yolo import make_splits, polygon_row, row, write_yaml
from tnt_backbone.new_config.labelled import UnusableError
from tnt_backbone.new_config.yolo import read_yolo
from tnt_backbone.new_config.yolo_rows import read_rows

BOX = '0 0.5 0.5 0.4 0.6'
ROWS = {
    BOX: 0,
    f'{BOX} 0.4 0.4 1 0.6 0.7 2': 2,
    f'{BOX} 0.4 0.4 2 0 0 0 0.6 0.7 2 0.5 0.5 1': 4,  # of an odd number, as a polygon has
    f'{BOX} 0.4 0.4 0.5 0.6 0.7 0.5': 0,  # no visibility
    f'{BOX} 0.1 0.4 1 0.6 0.7 1': 0,  # outside the box
    f'{BOX} 0 0 0 0 0 0': 0,
    '0 0 0 1 0 1 1 0 1': 0,  # a polygon around the whole image
    '0 0 0 1 0 1 1 0 1 0 0': 0,
    '0 0 0 1 0 1 0.5 1 1 0 1': 0,
}


@pytest.mark.parametrize(('row', 'points'), ROWS.items(), ids=ROWS)
def test_keypoints_that_nothing_announced_are_told(tmp_path, row, points):
    path = tmp_path / 'a.txt'
    path.write_text(row)
    if points:
        with pytest.raises(UnusableError, match=rf'kpt_shape: \[{points}, 3\]'):
            read_rows(path, (100, 50), {0: 'cat'})
        (found,) = read_rows(path, (100, 50), {0: 'cat'}, keypoints=3 * points).shapes
        assert found.box == pytest.approx((30, 10, 70, 40))
    else:
        assert len(read_rows(path, (100, 50), {0: 'cat'}).shapes) == 1


# ------------------------------------------------------------------ rows of a whole data set


def with_points(thing, size=(96, 64)):
    """A box, and three points in it, the last of which was not marked."""
    x1, y1, x2, y2 = thing.box
    points = ((x1 + 2, y1 + 3), ((x1 + x2) / 2, y2))
    numbers = [v / side for point in points for v, side in zip(point, size, strict=True)]
    return ' '.join([row(thing), *map(str, [*numbers, 0, 0])])


def test_keypoints_without_visibility(tmp_path):
    root = tmp_path / 'own'
    train, _ = make_splits(root, 3, to_row=with_points)
    with pytest.raises(ValueError, match=r'kpt_shape: \[3, 2\]'):
        read_yolo(root)
    lines = 'train: images/train\nval: images/val\nnames: [cat, dog]\nkpt_shape: [3, 2]\n'
    write_yaml(root, lines)
    datasets, _ = convert_folder(read_yolo, root)
    assert_fits(datasets['train'], boxes=2 * len(train))


@pytest.mark.parametrize('corners', [3, 4, 5, 8])
def test_polygons_are_no_keypoints(tmp_path, corners):
    root = tmp_path / 'own'
    make_splits(root, 6, to_row=lambda thing: _polygon(thing, corners))
    datasets, said = convert_folder(read_yolo, root)
    assert len(datasets['train']) == 6
    assert ('all rows have four corners' in said) is (corners == 4)


def _polygon(thing, corners):
    points = polygon_row(thing).split()
    if corners == 3:
        return ' '.join(points[:7])
    x, y = (float(v) for v in points[1:3])
    further = [value for i in range(1, corners - 3) for value in (x, y + 0.01 * i)]
    return ' '.join([*points, *map(str, further)])


def corner_row(thing, size=(96, 64)):
    numbers = [v / side for v, side in zip(thing.box, size * 2, strict=True)]
    return f'{("cat", "dog").index(thing.name)} {" ".join(map(str, numbers))}'


def test_corners_instead_of_centres_are_refused(tmp_path):
    make_splits(tmp_path / 'own', 12, to_row=corner_row)
    with pytest.raises(ValueError, match=r'boxes leave their pictures') as refused:
        convert_folder(read_yolo, tmp_path / 'own')
    for text in ('centre and size', 'two corners (x1, y1, x2, y2)', ' of 24 boxes'):
        assert text in str(refused.value)


def test_a_box_over_the_edge_is_cut_off(tmp_path):
    root = tmp_path / 'own'
    make_splits(root, 6)
    (root / 'labels/train/0.txt').write_text('1 0.95 0.5 0.2 0.25')
    datasets, said = convert_folder(read_yolo, root)
    (box,) = boxes_of(datasets['train'])['0.png']
    assert box[1] == pytest.approx((0.85 * 96, 24, 96, 40))
    assert '1 of 11 boxes leave their pictures' in said
    assert 'They are cut off there' in said
    boxes = json.loads((tmp_path / 'own_coco_train.json').read_text())['annotations']
    assert max(box['bbox'][0] + box['bbox'][2] for box in boxes) == 96


def test_ids_that_may_count_from_1(tmp_path):
    root = tmp_path / 'own'
    lines = 'train: images/train\nval: images/val\nnames: [cat, dog, bird]\n'
    for first in (1, 0):
        make_splits(
            root, 3, to_row=lambda thing, n=first: f'{int(row(thing)[0]) + n}{row(thing)[1:]}'
        )
        write_yaml(root, lines)
        said = '\n'.join(read_yolo(root).notes)
        assert ("has the class id 0 ('cat')" in said) is bool(first)
