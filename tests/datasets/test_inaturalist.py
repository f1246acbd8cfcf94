"""The data set of iNaturalist's annotation files."""

import json

import pytest
from mmpretrain.registry import DATASETS

from tnt_backbone.classification import INaturalist


@pytest.fixture
def root(tmp_path):
    content = {
        'images': [
            {'id': 70, 'file_name': 'train_val2019/Fungi/844/a.jpg'},
            {'id': 71, 'file_name': 'train_val2019/Aves/202/b.jpg'},
        ],
        'annotations': [
            {'id': 1, 'image_id': 71, 'category_id': 202},
            {'id': 2, 'image_id': 70, 'category_id': 844},
        ],
        'categories': [{'id': 844, 'name': 'a fungus'}, {'id': 202, 'name': 'a bird'}],
    }
    (tmp_path / 'val2019.json').write_text(json.dumps(content))
    return tmp_path


def test_images_and_labels_go_by_the_ids(root):
    dataset = DATASETS.build(dict(type='INaturalist', data_root=str(root), year=2019, split='val'))
    assert dataset.metainfo['classes'] == ('a bird', 'a fungus')
    assert [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))] == [
        f'{root}/train_val2019/Aves/202/b.jpg',
        f'{root}/train_val2019/Fungi/844/a.jpg',
    ]
    assert dataset.get_gt_labels().tolist() == [0, 1]
    assert dataset.test_mode


@pytest.mark.parametrize(('year', 'split'), [(2017, 'val'), (2018, 'test')])
def test_what_was_not_given_out_is_refused(year, split):
    named = rf'year={year}\b.*split={split!r}.*\(2018, 2019\).*train.*val'
    with pytest.raises(ValueError, match=named):
        INaturalist('data', year=year, split=split)
