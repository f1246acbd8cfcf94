"""The data set on disk: valid, deterministic, never mixed."""

import json
import re
import sys

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tnt_backbone.demo import dataset as dataset_module
from tnt_backbone.demo.__main__ import main
from tnt_backbone.demo.dataset import make_dataset, make_scene, make_single


def box(mask):
    return coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask))).tolist()


SIZE = (48, 64)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp('digits')
    assert make_dataset(out, train=12, val=11, size=SIZE, seed=3)
    return out


@pytest.mark.parametrize(('split', 'count'), [('train', 12), ('val', 11)])
def test_pycocotools_reads_it_and_masks_boxes_and_images_agree(dataset, split, count):
    coco = COCO(dataset / 'annotations' / f'instances_{split}.json')
    assert len(coco.imgs) == count
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list('0123456789')
    assert all(coco.imgToAnns[image_id] for image_id in coco.imgs)
    for image in coco.imgs.values():
        name = image['file_name']
        assert (
            cv2.imread(str(dataset / split / name)).shape
            == (*SIZE, 3)
            == (image['height'], image['width'], 3)
        )
        semantic = cv2.imread(
            str(dataset / 'semantic' / split / name.replace('.jpg', '.png')), cv2.IMREAD_UNCHANGED
        )
        painted = np.zeros(SIZE, np.uint8)
        for item in coco.imgToAnns[image['id']]:
            mask = coco.annToMask(item).astype(bool)
            rows, columns = np.nonzero(mask)
            x, y, width, height = item['bbox']
            assert [x, y, x + width, y + height] == [
                columns.min(),
                rows.min(),
                columns.max() + 1,
                rows.max() + 1,
            ]
            assert item['area'] == mask.sum()
            assert item['iscrowd'] == 0
            assert 1 <= item['category_id'] <= 10
            painted[mask] = item['category_id']
        np.testing.assert_array_equal(semantic, painted)


def test_val_shows_no_digit_that_train_shows(dataset):
    shown = {}
    for split in ('train', 'val'):
        document = json.loads((dataset / 'annotations' / f'instances_{split}.json').read_text())
        shown[split] = {item['digit_index'] for item in document['annotations']}
        assert shown[split]
    assert shown['train'].isdisjoint(shown['val'])


def test_classification_tree_has_all_classes_in_small_pictures(dataset):
    for split, count in (('train', 36), ('val', 33)):
        folder = dataset / 'classification' / split
        assert sorted(path.name for path in folder.iterdir()) == list('0123456789')
        images = list(folder.glob('*/*.jpg'))
        assert len(images) == count
        assert all(cv2.imread(str(image)).shape == (16, 16, 3) for image in images)


# Whoever changes what is drawn changes these values, and RECIPE.
@pytest.mark.parametrize(
    ('split', 'number', 'size', 'digits', 'pixels', 'mean'),
    [
        (
            'train',
            0,
            (128, 128),
            [
                (1145, [44, 27, 30, 42], 572),
                (923, [66, 46, 18, 30], 329),
                (486, [84, 43, 14, 24], 193),
                (556, [7, 14, 18, 29], 309),
            ],
            [[30, 54, 20], [31, 50, 20], [28, 54, 23]],
            46.87,
        ),
        (
            'train',
            1810,  # lit from a spot
            (128, 128),
            [(427, [24, 20, 22, 32], 407), (1131, [7, 34, 22, 38], 464)],
            [[242, 202, 212], [242, 202, 213], [242, 201, 212]],
            98.90,
        ),
        (
            'val',
            7,
            (48, 64),
            [
                (810, [0, 6, 10, 14], 83),
                (1020, [26, 25, 9, 13], 69),
                (902, [46, 22, 8, 14], 55),
            ],
            [[93, 98, 103], [93, 102, 101], [91, 98, 102]],
            105.40,
        ),
    ],
)
def test_scenes_stay_what_they_were(split, number, size, digits, pixels, mean):
    scene = make_scene(split, number, size=size, seed=0)
    found = [(each.digit.index, box(each.mask), each.mask.sum()) for each in scene.instances]
    assert found == digits
    np.testing.assert_allclose(scene.image[40, 31:34], pixels, atol=1)  # rounding of other CPUs
    assert scene.image.mean() == pytest.approx(mean, abs=0.02)


def test_single_digits_stay_what_they_were():
    scene = make_single('train', 8220, size=(128, 128), seed=0)
    (instance,) = scene.instances
    assert instance.digit.index == 1591
    assert box(instance.mask) == [11, 2, 11, 21]
    pixels = [[255, 245, 248], [248, 246, 251], [194, 181, 194], [103, 107, 120]]
    np.testing.assert_allclose(scene.image[16, 14:18], pixels, atol=1)


def test_same_arguments_same_bytes(dataset, tmp_path):
    make_dataset(tmp_path, train=12, val=11, size=SIZE, seed=3)
    assert contents(tmp_path) == contents(dataset)


def test_an_image_does_not_depend_on_how_many_there_are(dataset, tmp_path):
    make_dataset(tmp_path, train=3, val=10, size=SIZE, seed=3)
    few, many = contents(tmp_path), contents(dataset)
    images = [name for name in few if name.endswith(('.jpg', '.png'))]
    assert len(images) == 5 * (3 + 10)
    assert all(few[name] == many[name] for name in images)


def test_another_seed_gives_other_images(dataset, tmp_path):
    make_dataset(tmp_path, train=3, val=1, size=SIZE, seed=4)
    ours, theirs = contents(tmp_path), contents(dataset)
    assert all(ours[name] != theirs[name] for name in ('train/000000.jpg', 'val/000000.jpg'))
    assert ours['train/000000.jpg'] != ours['val/000000.jpg']


def test_several_processes_make_the_same(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, 'SCENES_A_PROCESS', 4)
    monkeypatch.setattr(dataset_module.os, 'cpu_count', lambda: 2)
    make_dataset(tmp_path, train=12, val=11, size=SIZE, seed=3)
    assert contents(tmp_path) == contents(dataset)


def test_a_second_time_nothing_is_written(tmp_path):
    arguments = dict(train=2, val=1, size=32)
    assert make_dataset(tmp_path, **arguments)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    assert not make_dataset(tmp_path, **arguments)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}


def test_other_arguments_replace_the_whole_and_keep_what_is_not_ours(tmp_path):
    make_dataset(tmp_path / 'ours', train=3, val=2, size=32)
    (tmp_path / 'ours' / 'notes.txt').write_text('mine')
    assert make_dataset(tmp_path / 'ours', train=2, val=1, size=40)
    make_dataset(tmp_path / 'fresh', train=2, val=1, size=40)
    ours = contents(tmp_path / 'ours')
    assert ours.pop('notes.txt') == b'mine'
    assert ours == contents(tmp_path / 'fresh')


def test_what_an_interrupted_run_left_is_made_anew(tmp_path):
    (tmp_path / '.partial' / 'train').mkdir(parents=True)
    (tmp_path / '.partial' / 'train' / '999999.jpg').write_bytes(b'half')
    assert make_dataset(tmp_path, train=1, val=1, size=32)
    assert not (tmp_path / '.partial').exists()
    assert not (tmp_path / 'train' / '999999.jpg').exists()


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'cat.jpg').write_bytes(b'precious')
    with pytest.raises(FileExistsError, match=re.escape(str(tmp_path))):
        make_dataset(tmp_path, train=1, val=1, size=32)
    assert contents(tmp_path) == {'train/cat.jpg': b'precious'}
    with pytest.raises(FileExistsError, match=r'cat\.jpg'):
        make_dataset(tmp_path / 'train' / 'cat.jpg', train=1, val=1, size=32)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(train=0), r'train=0\b.*\b1\b'),
        (dict(val=-1), r'val=-1\b.*\b1\b'),
        (dict(size=31), r'size=\(31, 31\).*\b32\b'),
        (dict(size=(64, 0)), r'size=\(64, 0\).*\b32\b'),
        (dict(size=(64, 64, 3)), r'size=\(64, 64, 3\).*\(height, width\)'),
        (dict(seed=-1), r'seed=-1\b'),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_dataset(tmp_path / 'out', **wrong)
    assert not (tmp_path / 'out').exists()


def test_command_line(tmp_path, monkeypatch, capsys):
    def command(*arguments):
        monkeypatch.setattr(sys, 'argv', ['demo', *map(str, arguments)])
        main()
        printed = capsys.readouterr()
        assert '\r' not in printed.out + printed.err  # a progress bar is for terminals, not logs
        return printed.out

    out = tmp_path / 'digits'
    arguments = (out, '--train', 3, '--val', 2, '--size', 40, 56, '--seed', 7)
    made = command(*arguments)
    assert re.search(r'\btrain\b.*\b3\b.*\b40x56\b', made)
    assert str(out) in made
    assert cv2.imread(str(out / 'train' / '000002.jpg')).shape == (40, 56, 3)
    assert str(out) in command(*arguments)
    with pytest.raises(SystemExit) as stopped:
        command(out, '--size', 8)
    assert stopped.value.code == 2
    assert re.search(r'\b8\b.*\b32\b', capsys.readouterr().err)
