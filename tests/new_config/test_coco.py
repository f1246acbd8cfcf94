"""The two parts of a COCO file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.new_config.coco import split_coco


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('coco')


def write(path, numbers, boxes):
    """A file whose images have the given ids, and boxes of some of them."""
    content = {
        'info': {'year': 2026},
        'images': [{'id': i, 'file_name': f'{i}.jpg', 'width': 9, 'height': 9} for i in numbers],
        'annotations': [
            {'id': n, 'image_id': i, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'area': 25}
            for n, i in enumerate(boxes)
        ],
        'categories': [{'id': 1, 'name': 'box'}],
    }
    path.write_text(json.dumps(content))
    return content


@given(data=st.data(), share=st.floats(0.05, 0.95))
def test_each_image_is_in_one_part_with_all_its_boxes(folder, data, share):
    numbers = data.draw(st.lists(st.integers(0, 999), min_size=2, max_size=30, unique=True))
    boxes = data.draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=40))
    path = folder / 'all.json'
    whole = write(path, numbers, boxes)
    if not 0 < round(share * len(numbers)) < len(numbers):
        with pytest.raises(ValueError, match='--val-share'):
            split_coco(path, share, overwrite=True)
        return
    paths = split_coco(path, share, overwrite=True)
    assert [part.name for part in paths] == ['all_train.json', 'all_val.json']
    train, val = (json.loads(part.read_text()) for part in paths)
    assert len(val['images']) == round(share * len(numbers))
    for section in ('images', 'annotations'):
        both = sorted(train[section] + val[section], key=lambda entry: entry['id'])
        assert both == sorted(whole[section], key=lambda entry: entry['id'])
    for part in (train, val):
        inside = {image['id'] for image in part['images']}
        assert {box['image_id'] for box in part['annotations']} <= inside
        assert part['categories'] == whole['categories']
    again = [json.loads(part.read_text()) for part in split_coco(path, share, overwrite=True)]
    assert again == [train, val]
