"""Shrunk photographs: a box lies where its object is seen."""

import json

import cv2
import numpy as np
import small_objects_photos as photos


def write_source(data, name, folder, count):
    """Write grey pictures of 200 x 300 pixels, each with a red object of 60 x 120."""
    (data / folder).mkdir(parents=True)
    images, annotations = [], []
    for i in range(count):
        picture = np.full((200, 300, 3), 90, np.uint8)
        picture[40:160, 100:160] = (0, 0, 255)  # BGR
        cv2.imwrite(str(data / folder / f'{i}.png'), picture)
        images.append(dict(id=i, file_name=f'{i}.png', width=300, height=200))
        annotations.append(dict(id=i + 1, image_id=i, category_id=1, bbox=[100, 40, 60, 120]))
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name=name)])
    (data / name).mkdir(exist_ok=True)
    for split in ('train', 'val'):
        (data / name / f'{split}.json').write_text(json.dumps(content))


def test_boxes_lie_on_the_objects(tmp_path):
    data = tmp_path / 'data'
    write_source(data, 'kangaroo', 'kangaroo/images', 9)
    write_source(data, 'pennfudan', 'pennfudan/images/train', 8)
    (data / 'kangaroo/images/8.png').write_bytes(b'damaged')
    found = photos.load_photographs(data, 'train')
    assert [photo.category for photo in found] == [1] * 8 + [2] * 8
    scene = photos.compose(np.random.default_rng(0), found)
    assert scene.categories == [1] * 8 + [2] * 8
    for cell, (left, top, width, height) in enumerate(scene.boxes):
        assert 7.5 <= height <= 32.5
        assert cell // 4 * 64 <= top < top + height <= cell // 4 * 64 + 64
        assert cell % 4 * 64 <= left < left + width <= cell % 4 * 64 + 64
        # as much red as the box has pixels: a pixel at its border is partly red
        window = scene.image[
            int(top) : int(np.ceil(top + height)), int(left) : int(np.ceil(left + width))
        ].astype(float)
        red = (window[..., 0] - window[..., 1]) / 255
        assert abs(red.sum() - width * height) < 0.1 * width * height
    assert min(max(box[2:]) for box in scene.boxes) < 16 < max(max(box[2:]) for box in scene.boxes)


def test_files(tmp_path):
    data = tmp_path / 'data'
    write_source(data, 'kangaroo', 'kangaroo/images', 16)
    write_source(data, 'pennfudan', 'pennfudan/images/train', 2)
    (data / 'pennfudan/images/train').rename(data / 'pennfudan/images/val')
    write_source(data, 'pennfudan', 'pennfudan/images/train', 2)
    out = tmp_path / 'out'
    photos.make_photos(out, data, dict(train=2, val=1))
    content = json.loads((out / 'annotations/instances_train.json').read_text())
    assert [category['name'] for category in content['categories']] == ['kangaroo', 'pedestrian']
    assert len(content['annotations']) == 2 * 16
    assert cv2.imread(str(out / 'val/000000.jpg')).shape == (256, 256, 3)
