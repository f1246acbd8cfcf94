"""Class folders against the classes that a config names."""

import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset, ImageNet

from tnt_backbone.data_checks.class_folders import check_class_folders


@pytest.fixture
def root(tmp_path):
    for name in ('cat', 'dog', 'emu'):
        (tmp_path / 'train' / name).mkdir(parents=True)
        np.save(tmp_path / 'train' / name / '0.npy', np.zeros(1))
    return tmp_path


def build(root, classes, kind=CustomDataset, **kwargs):
    metainfo = dict(classes=classes) if classes else None
    return kind(
        data_root=str(root), data_prefix='train', metainfo=metainfo, lazy_init=True, **kwargs
    )


def test_too_few_classes_are_refused_with_the_way_out(root):
    with pytest.raises(ValueError, match=r'\b3\b.*\bcat\b.*CustomDataset.*\b2\b.*metainfo'):
        check_class_folders(build(root, ('cat', 'dog')))


def test_a_part_of_imagenet_is_refused(root):
    with pytest.raises(ValueError, match=r'\b3\b.*ImageNet.*\b1000\b.*metainfo'):
        check_class_folders(build(root, None, kind=ImageNet))


@pytest.mark.parametrize('classes', [('cat', 'dog', 'emu'), None])
def test_fitting_folders_pass(root, classes):
    check_class_folders(build(root, classes))


def test_an_annotation_file_needs_no_folders(root):
    check_class_folders(build(root, ('cat',), ann_file='list.txt'))
