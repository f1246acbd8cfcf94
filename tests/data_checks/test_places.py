"""Names that look equal, in all the places where a name of a file is looked for."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from tests.data_checks.test_coco import dataset, edit
from tnt_backbone.data_checks.coco import check_coco
from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.data_checks.label_maps import pair
from tnt_backbone.data_checks.places import hint_of_accents
from tnt_backbone.errors import MissingFileError
from tnt_backbone.new_config.coco import find_images

ONE, TWO = (unicodedata.normalize(form, 'bär.jpg') for form in ('NFC', 'NFD'))


@pytest.mark.parametrize(
    ('missing', 'there', 'is_told'),
    [
        ([ONE], [TWO], True),
        ([TWO], ['a.jpg', ONE], True),
        ([ONE], ['bar.jpg'], False),
        (['a.jpg'], ['a.jpg'], False),
        ([], [ONE], False),
    ],
)
def test_only_names_that_look_equal_are_told(missing, there, is_told):
    assert ('NFD' in hint_of_accents(missing, there)) == is_told


@pytest.mark.parametrize('is_given', [False, True])
def test_images_of_a_coco_file(coco_root, is_given):
    (coco_root / 'images/0.jpg').rename(coco_root / 'images' / TWO)
    edit(coco_root, lambda content: content['images'][0].update(file_name=ONE))
    with pytest.raises(MissingFileError, match='NFD'):
        check_coco(dataset(coco_root))
    with pytest.raises(MissingFileError, match='NFD'):
        find_images(read_coco(coco_root / 'train.json'), coco_root / 'images' if is_given else None)


def test_label_maps(tmp_path):
    for folder, name in (('images', ONE), ('labels', TWO.replace('jpg', 'png'))):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / folder / name)
    with pytest.raises(MissingFileError, match='NFD'):
        pair(tmp_path / 'images', tmp_path / 'labels')
