"""Data sets of a config, found in their wrappers."""

import re

import pytest
from mmengine.config import Config

from tnt_backbone.data_checks.datasets import build_leaf_datasets, check_files, check_num_classes


def leaf(ann_file, **kwargs):
    return {
        'type': 'CocoDataset',
        'data_root': 'nowhere',
        'ann_file': ann_file,
        'data_prefix': {'img': f'{ann_file[0]}_images'},
        **kwargs,
    }


def config(dataset, **kwargs):
    return Config({'default_scope': 'mmdet', 'train_dataloader': {'dataset': dataset}, **kwargs})


WRAPPED = {
    'bare': leaf('a.json'),
    'RepeatDataset': {'type': 'RepeatDataset', 'times': 3, 'dataset': leaf('a.json')},
    'ClassBalancedDataset': {
        'type': 'ClassBalancedDataset',
        'oversample_thr': 0.1,
        'dataset': leaf('a.json'),
    },
    'two deep': {
        'type': 'RepeatDataset',
        'times': 3,
        'dataset': {'type': 'ConcatDataset', 'datasets': [leaf('a.json')]},
    },
    'mosaic': {'type': 'MultiImageMixDataset', 'dataset': leaf('a.json'), 'pipeline': []},
}


@pytest.mark.parametrize('dataset', WRAPPED.values(), ids=WRAPPED.keys())
def test_wrappers_are_taken_off(dataset):
    leaves = build_leaf_datasets(config(dataset), ['train', 'val'])
    assert [data.ann_file for data in leaves['train']] == ['nowhere/a.json']
    assert leaves['val'] == []


def test_all_parts_of_a_concatenation_are_found():
    dataset = {'type': 'ConcatDataset', 'datasets': [leaf('a.json'), leaf('b.json')]}
    leaves = build_leaf_datasets(config(dataset), ['train'])
    assert [data.ann_file for data in leaves['train']] == ['nowhere/a.json', 'nowhere/b.json']


def test_missing_data_shows_the_whole_layout(tmp_path):
    (tmp_path / 'a.json').write_text('{}')
    cfg = config(
        leaf('a.json', data_root=str(tmp_path)),
        train_evaluator={'type': 'CocoMetric', 'ann_file': 'b.json'},
    )
    with pytest.raises(FileNotFoundError) as error:
        check_files(cfg, build_leaf_datasets(cfg, ['train']))
    lines = [line.split() for line in str(error.value).splitlines()]
    assert ['found', f'{tmp_path}/a.json', '(train_dataloader,', 'CocoDataset)'] in lines
    assert ['MISSING', f'{tmp_path}/a_images', '(train_dataloader,', 'CocoDataset)'] in lines
    assert ['MISSING', 'b.json', '(train_evaluator,', 'CocoMetric)'] in lines
    assert 'docs/datasets.md' in str(error.value)


def test_data_that_is_there_remote_or_fetched_is_no_error(coco_root):
    here = leaf('train.json', data_root=str(coco_root), data_prefix={'img': 'images'})
    remote = leaf('a.json', backend_args={'backend': 'local'})  # of another backend, say s3
    for dataset in (here, remote):
        cfg = config(dataset)
        check_files(cfg, build_leaf_datasets(cfg, ['train']))
    cfg = Config(
        {
            'default_scope': 'mmpretrain',
            'train_dataloader': {'dataset': {'type': 'CIFAR10', 'data_root': 'nowhere'}},
        }
    )
    check_files(cfg, build_leaf_datasets(cfg, ['train']))


@pytest.mark.parametrize(
    ('scope', 'dataset', 'missing'),
    [
        (
            'mmseg',
            {
                'type': 'ADE20KDataset',
                'data_root': 'nowhere',
                'data_prefix': {'img_path': 'images/training', 'seg_map_path': 'annotations/x'},
            },
            ['nowhere/images/training', 'nowhere/annotations/x'],
        ),
        (
            'mmpretrain',
            {'type': 'ImageNet', 'data_root': 'nowhere', 'split': 'train'},
            ['nowhere/train'],
        ),
    ],
)
def test_other_libraries(scope, dataset, missing):
    cfg = Config({'default_scope': scope, 'train_dataloader': {'dataset': dataset}})
    with pytest.raises(FileNotFoundError) as error:
        check_files(cfg, build_leaf_datasets(cfg, ['train']))
    assert all(f'MISSING  {path}' in str(error.value) for path in missing)


@pytest.mark.parametrize(
    ('model', 'key'),
    [
        ({'bbox_head': {'num_classes': 1}}, 'model.bbox_head.num_classes'),
        (
            {'roi_head': {'bbox_head': [{'num_classes': 2}, {'num_classes': 1}]}},
            'model.roi_head.bbox_head.1.num_classes',
        ),
    ],
)
def test_heads_with_too_few_classes_are_an_error(model, key):
    cfg = config(leaf('a.json', metainfo={'classes': ('box', 'disc')}), model=model)
    with pytest.raises(ValueError, match=rf'{key}\b.*\b1\b.*\b2\b.*--cfg-options {key}=2'):
        check_num_classes(cfg, build_leaf_datasets(cfg, ['train']))


def test_panoptic_heads_count_only_the_things():
    metainfo = {'classes': ('box', 'disc', 'sky'), 'thing_classes': ('box', 'disc')}
    head = {'bbox_head': [{'num_classes': 2}], 'mask_head': {'num_classes': 2}}
    cfg = config(leaf('a.json', metainfo=metainfo), model={'roi_head': head})
    assert check_num_classes(cfg, build_leaf_datasets(cfg, ['train'])) == []


def test_heads_with_more_classes_are_noted_and_rpn_heads_are_not_counted():
    dataset = leaf('a.json', metainfo={'classes': ('box', 'disc')})
    cfg = config(dataset, model={'bbox_head': {'num_classes': 80}, 'rpn_head': {'num_classes': 1}})
    (note,) = check_num_classes(cfg, build_leaf_datasets(cfg, ['train']))
    assert re.search(r'model\.bbox_head\.num_classes\b.*\b80\b.*\b2\b', note)
