"""Every value of a COCO file that somebody reads is looked at before."""

import copy
import json

import pytest

from tests.data_checks.test_coco import dataset, edit
from tnt_backbone.data_checks.coco import check_coco
from tnt_backbone.data_checks.coco_file import forget_coco_files, read_coco
from tnt_backbone.errors import InputError


def set_value(root, section, key, value):
    edit(root, lambda content: content[section][0].update({key: value}))
    forget_coco_files()


@pytest.mark.parametrize(
    ('section', 'key', 'value'),
    [
        ('images', 'id', None),
        ('images', 'id', [1]),
        ('images', 'id', float('nan')),
        ('images', 'file_name', 7),
        ('images', 'file_name', 'a\0b'),
        ('images', 'file_name', '\ud800.jpg'),
        ('images', 'file_name', ''),
        ('images', 'width', '64'),
        ('images', 'width', 0),
        ('images', 'height', None),
        ('images', 'height', float('inf')),
        ('annotations', 'id', {}),
        ('annotations', 'image_id', [0]),
        ('annotations', 'category_id', True),
        ('annotations', 'bbox', None),
        ('annotations', 'bbox', [1, 2, 3]),
        ('annotations', 'bbox', [1, 2, 3, float('nan')]),
        ('annotations', 'bbox', [1, 2, 3, 10**400]),
        ('annotations', 'area', '768'),
        ('annotations', 'area', float('nan')),
        ('annotations', 'iscrowd', '0'),  # would count as a crowd
        ('annotations', 'iscrowd', None),
        ('annotations', 'ignore', '0'),  # would be left out
        ('categories', 'id', None),
        ('categories', 'name', 5),
        ('categories', 'name', ['box']),
    ],
)
def test_a_wrong_value_is_named(coco_root, section, key, value):
    set_value(coco_root, section, key, value)
    with pytest.raises(InputError, match=rf'train\.json: .*{key}'):
        read_coco(coco_root / 'train.json')


def test_names_of_all_languages_are_read(coco_root):
    name = 'Bär_熊_🐻.jpg'
    (coco_root / 'images/0.jpg').rename(coco_root / 'images' / name)
    set_value(coco_root, 'images', 'file_name', name)
    assert check_coco(dataset(coco_root)) == []
    assert read_coco(coco_root / 'train.json').images[0]['file_name'] == name
    set_value(coco_root, 'categories', 'name', '熊')
    assert read_coco(coco_root / 'train.json').names == ['熊', 'disc']
    set_value(coco_root, 'categories', 'name', '\ud800')
    with pytest.raises(InputError, match='name'):
        read_coco(coco_root / 'train.json')


def test_a_long_value_is_told_in_part(coco_root):
    set_value(coco_root, 'annotations', 'area', list(range(1000)))
    with pytest.raises(InputError) as refused:
        read_coco(coco_root / 'train.json')
    assert '[0, 1, 2, 3, ' in str(refused.value)
    assert '...' in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize('section', ['images', 'annotations', 'categories'])
@pytest.mark.parametrize('entry', [None, 5, 'id file_name width height', []])
def test_an_entry_that_is_no_object_is_named(coco_root, section, entry):
    edit(coco_root, lambda content: content[section].append(entry))
    forget_coco_files()
    with pytest.raises(InputError, match=section):
        read_coco(coco_root / 'train.json')


@pytest.mark.parametrize(
    'text', ['[' * 100_000, '{"images": ' + '9' * 5000 + '}', '\ud800', '', '\0', '[1, 2']
)
def test_what_is_no_json_is_named(tmp_path, text):
    path = tmp_path / 'a.json'
    path.write_bytes(text.encode('utf-8', 'surrogatepass'))
    with pytest.raises(InputError, match=r'a\.json is not'):
        read_coco(path)


@pytest.mark.parametrize('value', [64.0, 10**6], ids=['a whole float', 'a large side'])
def test_numbers_are_accepted_as_they_are_written(coco_root, value):
    set_value(coco_root, 'images', 'width', value)
    assert read_coco(coco_root / 'train.json').images[0]['width'] == value


@pytest.mark.parametrize(
    'name',
    ['../../../etc/passwd', '/etc/passwd', 'http://localhost/a.jpg', 'file:///etc/passwd',
     'images/../../../../elsewhere.jpg'],
)  # fmt: skip
def test_a_file_name_cannot_choose_what_is_read(coco_root, name):
    set_value(coco_root, 'images', 'file_name', name)
    with pytest.raises(InputError, match=r'train\.json.*--images') as refused:
        check_coco(dataset(coco_root))
    assert name in str(refused.value)


def test_names_and_links_that_stay_with_the_data_are_allowed(coco_root, tmp_path):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    (coco_root / 'images/0.jpg').rename(elsewhere / '0.jpg')
    (coco_root / 'images/0.jpg').symlink_to(elsewhere / '0.jpg')
    names = ['../images/0.jpg', str(coco_root / 'images/1.jpg'), 'a/../2.jpg']
    (coco_root / 'images/a').mkdir()

    def change(content):
        for image, name in zip(content['images'], names, strict=False):
            image['file_name'] = name

    edit(coco_root, change)
    assert check_coco(dataset(coco_root)) == []


def test_a_device_is_no_image(coco_root):
    (coco_root / 'images/0.jpg').unlink()
    (coco_root / 'images/0.jpg').symlink_to('/dev/zero')
    with pytest.raises(FileNotFoundError, match=r'0\.jpg'):
        check_coco(dataset(coco_root))


def test_masks_of_the_evaluation_are_looked_at(coco_root):
    """At NaN, pycocotools would end the process."""
    content = json.loads((coco_root / 'train.json').read_text())
    box = copy.deepcopy(content['annotations'][0])
    box.update(id=99, iscrowd=1, segmentation=[[1, 1, 5, 1, float('nan'), 5]])
    edit(coco_root, lambda content: content['annotations'].append(box))
    pipeline = [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
    for test_mode in (False, True):
        with pytest.raises(InputError, match='segmentation'):
            check_coco(dataset(coco_root, pipeline=pipeline, test_mode=test_mode))
