"""Folders with files in COCO's format: each file is the split that its name says."""

import json

import pytest

from tests.new_config.scenes import assert_fits, configure, dataset_of
from tests.new_config.test_correct_coco import make, write
from tnt_backbone.new_config.coco_folder import assign_splits, find_coco
from tnt_backbone.new_config.data_folder import list_files

SIZES = {'train': 4, 'valid': 3, 'test': 2}


def find(root):
    return assign_splits(root, find_coco(root, list_files(root)))


def make_roboflow(root, splits=SIZES):
    """Images of the same names in all splits, and a category 0 that groups the others."""
    for seed, split in enumerate(splits):
        content = make(root / split, '.', number=SIZES[split], seed=seed)
        group = {'id': 0, 'name': 'animals', 'supercategory': 'none'}
        content['categories'] = [
            group,
            *({**c, 'supercategory': 'animals'} for c in content['categories']),
        ]
        write(root / split / '_annotations.coco.json', content)


def test_roboflow(tmp_path):
    root = tmp_path / 'own'
    make_roboflow(root)
    for _ in range(2):  # the corrected copies are no further files
        cfg, said = configure(root)
        for phase, number in zip(('train', 'val', 'test'), SIZES.values(), strict=True):
            assert dataset_of(cfg, phase).metainfo['classes'] == ('cat', 'dog')
            assert_fits(dataset_of(cfg, phase), boxes=2 * number)
    assert 'format: coco' in said


def test_without_a_validation_split(tmp_path):
    root = tmp_path / 'own'
    make_roboflow(root, ('train', 'test'))
    cfg, said = configure(root)
    assert_fits(dataset_of(cfg, 'val'), boxes=4)
    assert 'evaluation is on the test split' in said
    cfg, _ = configure(root, '--val-share', 0.25)
    for phase, boxes in (('train', 6), ('val', 2), ('test', 4)):
        assert_fits(dataset_of(cfg, phase), boxes=boxes)
    with pytest.raises(ValueError, match='not clear which one is for training'):
        configure(root)  # the two parts lie beside the file now
    make_roboflow(tmp_path / 'both', ('train', 'valid'))
    with pytest.raises(ValueError, match='has a validation split already'):
        configure(tmp_path / 'both', '--val-share', 0.25)


def test_the_layout_of_coco(tmp_path):
    content = make(tmp_path, 'train2017')
    names = ('instances_train2017', 'instances_val2017', 'person_keypoints_train2017')
    for name in names:
        write(tmp_path / 'annotations' / f'{name}.json', content)
    for task in ('captions', 'image_info', 'labels'):  # the last two by Datumaro
        write(tmp_path / 'annotations' / f'{task}_val2017.json', {**content, 'annotations': []})
    folder = tmp_path / 'annotations'
    assert find(tmp_path) == {
        'train': folder / 'instances_train2017.json',
        'val': folder / 'instances_val2017.json',
    }


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['boxes'], {'train': 'boxes'}),
        (['train', 'val'], {'train': 'train', 'val': 'val'}),
        (
            ['my-training_set', 'my-validation_set'],
            {'train': 'my-training_set', 'val': 'my-validation_set'},
        ),
        (['trainval', 'test'], {'train': 'trainval', 'test': 'test'}),
        (['latest'], {'train': 'latest'}),
        (['boxes', 'others'], None),
        (['boxes', 'train', 'val'], None),
        (['val', 'test'], None),
        (['train_a', 'train_b'], None),
    ],
)
def test_names_of_files(tmp_path, names, expected):
    root = tmp_path / 'train'  # what lies above says nothing
    content = make(root)
    for name in names:
        write(root / f'{name}.json', content)
    if expected is None:
        with pytest.raises(ValueError, match=r'--data TRAIN\.json --val-data VAL\.json'):
            find(root)
    else:
        assert find(root) == {split: root / f'{name}.json' for split, name in expected.items()}


@pytest.mark.parametrize('split', ['valid', 'test'])
def test_a_split_without_annotations(tmp_path, split):
    """Nothing could be measured on it; of many test splits, the labels are not published."""
    root = tmp_path / 'own'
    make_roboflow(root)
    path = root / split / '_annotations.coco.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'annotations': []}))
    if split == 'valid':
        with pytest.raises(ValueError, match='none of its 3 images shows an object that is meas'):
            configure(root)
        return
    cfg, said = configure(root)
    assert 'has no annotations, so it is left out' in said
    assert_fits(dataset_of(cfg, 'test'), boxes=6)
