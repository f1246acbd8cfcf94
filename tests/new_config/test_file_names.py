"""File names of other computers and tools, and the files that they mean."""

import json

import pytest

from tests.new_config.scenes import draw
from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.new_config.file_names import match_file_names

FILES = ('train/my 0.png', 'train/my 1.png', 'val/my 0.png', 'masks/other.png')


def write(root, names, size=(96, 64)):
    """Write the images of ``FILES``, and a COCO file that calls the first ones by other names."""
    for seed, file in enumerate(FILES):
        draw(root / file, seed)
    content = {
        'images': [
            {'id': i, 'file_name': name, 'width': size[0], 'height': size[1]}
            for i, name in enumerate(names)
        ],
        'annotations': [],
        'categories': [{'id': 1, 'name': 'cat'}],
    }
    path = root / 'train.json'
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    'names',
    [
        ('/home/anna/data/train/my 0.png', '/home/anna/data/train/my 1.png'),
        ('train/my%200.png', 'train/my%201.png', 'val/my%200.png'),
        ('https://host/train/my%200.png?token=a/b', 'https://host/train/my%201.png'),
        ('TRAIN/MY 0.PNG', 'Train/My 1.png'),
        ('train/my 0', 'train/my 1'),
        ('C:/data/train/my 0.png', 'C:/data/train/my 1.png'),
    ],
    ids=['whole paths', 'escapes', 'addresses', 'capitals', 'no endings', 'drives'],
)
def test_each_name_is_that_of_its_file(tmp_path, names):
    path, [said] = match_file_names(write(tmp_path, names), tmp_path / 'train.json', None)
    assert path.name == 'train_corrected.json'
    assert f'{len(names)} images' in said
    found = [image['file_name'] for image in read_coco(path).images.values()]
    assert found == list(FILES[: len(names)])


@pytest.mark.parametrize(
    ('names', 'size'),
    [
        (('/a/my 0.png', '/a/my 1.png'), (96, 64)),
        (('rgb/my 0.png', 'rgb/my 1.png'), (96, 64)),
        (('/a/train/my 0.png', '/a/train/gone.png'), (96, 64)),
        (('/a/train/my 0.png', '/b/train/my 0.png'), (96, 64)),
        (('/a/train/my 0.png', '/a/train/my 1.png'), (64, 64)),
        (('/a/other.png',), (96, 64)),
    ],
    ids=['two of a name', 'other folder', 'missing', 'one for two', 'other size', 'masks'],
)
def test_what_is_not_sure_is_not_changed(tmp_path, names, size):
    path = write(tmp_path, names, size)
    assert match_file_names(path, path, None) == (path, [])
    assert not list(tmp_path.glob('*_corrected*'))


def test_folders_before_a_folder_that_the_user_named(tmp_path):
    """Objects365 says images/v1/patch0/a.jpg, and its archives hold patch0/a.jpg."""
    names = tuple(f'images/v{i + 1}/{file}' for i, file in enumerate(FILES[:3]))
    path = write(tmp_path, names)
    assert match_file_names(path, path, None) == (path, [])
    corrected, _ = match_file_names(path, path, tmp_path)
    found = [image['file_name'] for image in read_coco(corrected).images.values()]
    assert found == list(FILES[:3])
    path = write(tmp_path, ('images/my 0.png',))  # two files have this name
    assert match_file_names(path, path, tmp_path) == (path, [])


def test_names_that_are_there_stay(tmp_path):
    path = write(tmp_path, FILES[:2])
    assert match_file_names(path, path, None) == (path, [])
