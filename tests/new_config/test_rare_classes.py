"""How often each class is seen in an epoch, counted on the libraries' own data sets."""

import copy
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from tests.new_config import test_yolo as yolo
from tests.new_config.scenes import configure, draw, infos_of
from tnt_backbone.new_config.rare_classes import balance_classes, find_rare

NAMES = ('cat', 'dog', 'bird')
RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
UPERNET = 'mmseg::upernet/upernet_r50_4xb4-160k_ade20k-512x512.py'


def make_boxes(root, common=18, rare=2):
    """Images of cats and dogs, and a few of birds; one of the latter is only background."""
    folders = root / 'images', root / 'labels'
    truth = yolo.make(*folders, range(common))
    for i in range(common, common + rare):
        things = draw(folders[0] / f'{i}.png', seed=i, names=('bird',))
        (folders[1] / f'{i}.txt').write_text('\n'.join(yolo.row(t, names=NAMES) for t in things))
        truth[f'{i}.png'] = things
    (folders[1] / '0.txt').write_text('')
    (root / 'classes.txt').write_text('\n'.join(NAMES))
    return truth


def build(cfg, pipeline, scope='mmdet'):
    """Return the data set that a training would read, with a pipeline of its own."""
    dataset = cfg.train_dataloader.dataset
    leaf = dataset.get('dataset', dataset)
    leaf.pipeline = pipeline
    with DefaultScope.overwrite_default_scope(scope):
        return DATASETS.build(dataset)


def seen(dataset, key='gt_bboxes_labels'):
    """Return how many images of one epoch show each class."""
    counted = Counter()
    for i in range(len(dataset)):
        labels = dataset[i][key]
        counted.update({int(label) for label in np.atleast_1d(labels)})
    return counted


BOXES = [dict(type='LoadImageOrSkip'), dict(type='LoadAnnotations', with_bbox=True)]


def test_boxes(tmp_path):
    root = tmp_path / 'own'
    make_boxes(root)
    plain, said = configure(root)
    assert seen(build(plain, BOXES)) == {0: 17, 1: 17, 2: 2}
    assert '1 of 3 classes are rare' in said
    assert 'median class (17 of 20): bird: 2 (10 %)' in said
    cfg, said = configure(root, '--balance')
    dataset = build(cfg, BOXES)
    # share 2 / 20, limit 17 / 20 / 2: sqrt(4.25) times, rounded up
    assert seen(dataset) == {0: 17, 1: 17, 2: 6}
    assert len(dataset) == 24
    assert 'bird 2 -> 6. An epoch has 24 images instead of 20' in said


def test_a_damaged_image_and_a_share_for_validation(tmp_path):
    root = tmp_path / 'own'
    make_boxes(root)
    cfg, _ = configure(root, '--balance', '--val-share', 0.2)
    dataset = build(cfg, BOXES)
    rare = [info['img_path'] for info in infos_of(dataset) if 2 in labels_of(info)]
    assert len(rare) > len(set(rare)) > 0
    for path in {rare[0], *(info['img_path'] for info in infos_of(dataset)[:2])}:
        Path(path).write_bytes(Path(path).read_bytes()[:40])
        assert path not in {dataset[i]['img_path'] for i in range(len(dataset))}


def labels_of(info):
    return {box['bbox_label'] for box in info['instances']}


def test_within_other_wrappers(tmp_path):
    """A mosaic draws from the repeated images; a hook that would not reach them is refused."""
    root = tmp_path / 'own'
    make_boxes(root)
    cfg, _ = configure(root)
    leaf = cfg.train_dataloader.dataset
    leaf.pipeline = BOXES
    mosaic = [dict(type='Mosaic', img_scale=(32, 32), prob=1.0)]
    cfg.train_dataloader.dataset = dict(type='MultiImageMixDataset', dataset=leaf, pipeline=mosaic)
    hooked = copy.deepcopy(cfg)
    balance_classes(cfg, repeat=True)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(dataset) == 24
    assert dataset[23]['img'].shape == (64, 64, 3)
    hooked.custom_hooks = [dict(type='PipelineSwitchHook', switch_epoch=1, switch_pipeline=BOXES)]
    with pytest.raises(ValueError, match='--balance does not work with the PipelineSwitchHook'):
        balance_classes(hooked, repeat=True)


def test_class_folders(tmp_path):
    root = tmp_path / 'own'
    for split, numbers in (('train', (16, 12, 2)), ('val', (2, 2, 2))):
        for name, number in zip(NAMES, numbers, strict=True):
            (root / split / name).mkdir(parents=True)
            for i in range(number):
                Image.new('RGB', (8, 8)).save(root / split / name / f'{i}.png')
    options = ('--backbone', 'tnt_ti')
    order = {name: label for label, name in enumerate(sorted(NAMES))}
    read = [dict(type='LoadImageOrSkip')]
    before, after = (
        seen(
            build(configure(root, *options, *more, config=RESNET)[0], read, 'mmpretrain'),
            'gt_label',
        )
        for more in ((), ('--balance',))
    )
    assert before == {order['cat']: 16, order['dog']: 12, order['bird']: 2}
    assert after == before | {order['bird']: 2 * math.ceil(math.sqrt(6 / 2))}


def test_label_maps(tmp_path):
    root = tmp_path / 'own'
    for split in ('train', 'val'):
        for folder in ('images', 'labels'):
            (root / folder / split).mkdir(parents=True)
        for i in range(8):
            Image.new('RGB', (8, 8)).save(root / 'images' / split / f'{i}.jpg')
            mask = np.zeros((8, 8), np.uint8)
            mask[:4] = 1
            mask[0] = 2 if i == 0 else 0
            Image.fromarray(mask).save(root / 'labels' / split / f'{i}.png')
    options = ('--backbone', 'tnt_ti')
    _, said = configure(root, *options, config=UPERNET)
    assert '(8 of 8): class 2: 1 (12 %)' in said
    with pytest.raises(ValueError, match=r'--balance .*MMSegmentation.*class_weight'):
        configure(root, *options, '--balance', config=UPERNET)


def test_no_rare_class(tmp_path):
    root = tmp_path / 'own'
    make_boxes(root, rare=12)
    cfg, said = configure(root, '--balance')
    assert cfg.train_dataloader.dataset.type == 'CocoDataset'
    assert 'no class is rare, so --balance changes nothing' in said
    assert 'are rare' not in configure(root)[1]


@given(st.dictionaries(st.text(), st.integers(0, 1000)))
def test_rare_is_less_than_half_of_the_median(images):
    shown = sorted(number for number in images.values() if number)
    rare = find_rare(images)
    assert all(number > 0 for number in rare.values())
    if shown:
        median = float(np.median(shown))
        assert set(rare) == {n for n, number in images.items() if 0 < number < median / 2}
        assert len(rare) <= len(shown) / 2
    else:
        assert not rare
