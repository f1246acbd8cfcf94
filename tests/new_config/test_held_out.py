"""Copies and slices of a picture are on one side of a split."""

import json

import numpy as np
import pytest

from tnt_backbone.errors import InputError
from tnt_backbone.new_config.class_lists import part_classes
from tnt_backbone.new_config.coco import split_coco
from tnt_backbone.new_config.held_out import draw_held_out


def draw(names, number):
    drawn = draw_held_out(names, number, np.random.default_rng(0))
    return {names[i] for i in drawn}


def test_pictures_of_their_own_are_drawn_as_a_permutation_says():
    names = [f'images/{i}.jpg' for i in range(20)]
    expected = np.random.default_rng(0).permutation(20)[:5]
    assert draw(names, 5) == {names[i] for i in expected}


@pytest.mark.parametrize(
    'name',
    [
        'train/{}_jpg.rf.6d5dac5698a6f0e5a0e5b1b6f1c1d{}aa.jpg',  # Roboflow
        '{}_png.rf.6d5dac5698a6f0e5a0e5b1b6f1c1d{}aa',  # without an ending, as label maps are found
        '{}_{}00_0_1{}00_256.png'.replace('1{}', '9'),  # sahi; the first number is 0 to 300
    ],
)
def test_copies_and_slices_stay_together(name):
    copies = {source: [name.format(source, i) for i in range(4)] for source in 'abcdefgh'}
    if 'rf' not in name:
        copies = {
            key: [one.replace('_000_', '_0_') for one in ones] for key, ones in copies.items()
        }
    names = [each[i] for i in range(4) for each in copies.values()]
    drawn = draw(names, 6)
    assert len(drawn) == 8
    assert sorted(len(drawn & {*each}) for each in copies.values()) == [0] * 6 + [4] * 2


@pytest.mark.parametrize(
    'name',
    [
        'walk_2024_05_01_{}.jpg',  # a day and a number
        'walk_10_20_30_4{}.jpg',  # no slice begins in the corner
        'v1.rf.{}.jpg',
    ],
)
def test_names_that_only_look_like_it_are_pictures_of_their_own(name):
    names = [name.format(i) for i in range(10)]
    assert len(draw(names, 3)) == 3


def test_one_side_is_never_empty():
    copies = [f'a_jpg.rf.6d5dac5698a6f0e{i}.jpg' for i in range(5)]
    assert draw(copies, 2) == set()
    assert draw([*copies, 'b.jpg'], 5) in ({'b.jpg'}, {*copies})


def test_a_file_of_coco_is_parted_by_pictures(tmp_path):
    names = [f'{source}_jpg.rf.6d5dac5698a6f0e{i}.jpg' for source in 'abcd' for i in range(3)]
    size = {'width': 8, 'height': 8}
    images = [{'id': i, 'file_name': name, **size} for i, name in enumerate(names)]
    path = tmp_path / 'all.json'
    path.write_text(json.dumps({'images': images, 'annotations': [], 'categories': []}))
    train, val = (
        {image['file_name'][0] for image in json.loads(part.read_text())['images']}
        for part in split_coco(path, 0.25)
    )
    assert len(val) == 1
    assert train == {*'abcd'} - val

    path.write_text(json.dumps({'images': images[:3], 'annotations': [], 'categories': []}))
    with pytest.raises(InputError, match='one picture'):
        split_coco(path, 0.25, overwrite=True)


def test_classes_are_parted_by_pictures(tmp_path):
    files = {
        name: [
            tmp_path / name / f'{source}_jpg.rf.6d5dac5698a6f0e{i}.jpg'
            for source in 'abcd'
            for i in range(3)
        ]
        for name in ('cat', 'dog')
    }
    files['owl'] = files['cat'][:3]  # copies of one picture are to train on
    train, val = part_classes(files, 0.25)
    for name in ('cat', 'dog'):
        judged = {path.name[0] for path in val if path.parent.name == name}
        assert len(judged) == 1
        assert judged & {path.name[0] for path, label in train.items() if label == name} == set()
    assert 'owl' not in val.values()
