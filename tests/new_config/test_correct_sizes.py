"""Sizes that only the images tell: every box fits the picture as the libraries read it."""

import json

import pytest
from mmengine.registry import DATASETS, DefaultScope

from tests.new_config.scenes import assert_equal, draw
from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.errors import InputError
from tnt_backbone.new_config.correct_coco import correct_coco
from tnt_backbone.new_config.correct_sizes import turn_with_exif

SIZE = (96, 64)
NAMES = ('cat', 'dog')
# A point of the turned picture, in the picture as it is stored: the way back of EXIF's orientation
BACK = {
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (y, w - x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (h - y, x),
}


def write(root, turns, *, is_stored):
    """Write an image for each orientation; return the file and the rectangles as they are seen."""
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i, turn=turn) for i, turn in enumerate(turns)}
    images, boxes = [], []
    for i, (name, things) in enumerate(truth.items(), 1):
        turn = turns[i - 1] if is_stored else 1
        sides = SIZE[::-1] if turn in BACK else SIZE
        images.append({'id': i, 'file_name': name, 'width': sides[0], 'height': sides[1]})
        for thing in things:
            x1, y1, x2, y2 = thing.box
            corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
            if turn in BACK:
                corners = [BACK[turn](x, y, *SIZE) for x, y in corners]
            xs, ys = zip(*corners, strict=True)
            box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
            boxes.append(
                {
                    'id': len(boxes) + 1,
                    'image_id': i,
                    'category_id': NAMES.index(thing.name) + 1,
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': 0,
                    'segmentation': [[value for corner in corners for value in corner]],
                }
            )
    categories = [{'id': i, 'name': name} for i, name in enumerate(NAMES, 1)]
    content = {'images': images, 'annotations': boxes, 'categories': categories}
    path = root / 'all.json'
    path.write_text(json.dumps(content))
    return path, truth


def dataset_of(path):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(
            dict(
                type='CocoDataset',
                ann_file=str(path),
                data_prefix=dict(img=str(path.parent)),
                metainfo=dict(classes=NAMES),
                pipeline=[],
            )
        )


@pytest.mark.parametrize('is_stored', [True, False])
def test_boxes_of_images_that_exif_turns(tmp_path, is_stored):
    path, truth = write(tmp_path, (1, 5, 6, 7, 8), is_stored=is_stored)
    used, said = turn_with_exif(path, path, None)
    assert (used != path) is is_stored
    assert said == [f'{used}: the boxes of 4 images were turned as EXIF turns the images'] * (
        is_stored
    )
    assert_equal(dataset_of(used), truth)
    for box in read_coco(used).boxes:
        x, y, width, height = box['bbox']
        points = box['segmentation'][0]
        assert (min(points[::2]), min(points[1::2])) == (x, y)
        assert (max(points[::2]), max(points[1::2])) == (x + width, y + height)
    assert turn_with_exif(used, path, None) == (used, [])


def test_run_lengths_are_not_turned(tmp_path):
    path, _ = write(tmp_path, (6, 6), is_stored=True)
    content = json.loads(path.read_text())
    for box in content['annotations']:
        box['segmentation'] = {'size': [96, 64], 'counts': [0, 96 * 64]}
    path.write_text(json.dumps(content))
    assert turn_with_exif(path, path, None) == (path, [])


def test_images_without_a_size_in_two_folders(tmp_path):
    path, _ = write(tmp_path / 'rgb', (1, 1), is_stored=False)
    path = path.rename(tmp_path / 'all.json')
    content = json.loads(path.read_text())
    for image in content['images']:
        draw(tmp_path / 'depth' / image['file_name'], size=(120, 90))
        del image['width'], image['height']
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'sizes.*depth.*rgb.*--images'):
        correct_coco(path)
    used, _ = correct_coco(path, images=tmp_path / 'rgb')
    sizes = [(i['width'], i['height']) for i in read_coco(used).images.values()]
    assert sizes == [SIZE, SIZE]
