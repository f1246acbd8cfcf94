"""Lists of the images of each split, in formats that have none of their own."""

import pytest

from tests.new_config import test_labelme as labelme
from tests.new_config import test_listed as listed
from tests.new_config import test_voc as voc
from tests.new_config.scenes import assert_fits, boxes_of, configure, convert_folder
from tests.new_config.test_correct_coco import make as make_coco
from tests.new_config.test_correct_coco import write as write_coco
from tnt_backbone.new_config.labelme import read_labelme
from tnt_backbone.new_config.listed_splits import split_by_lists
from tnt_backbone.new_config.own_data import READERS

NAMES = ('0', '1', '2', 'empty')


def of_voc(root):
    voc.make(root, range(3))
    voc.write_xml(root / 'Annotations/empty.xml', ())
    voc.draw(root / 'JPEGImages/empty.png', number=0)


def of_kitti(root):
    """All that has labels lies in training/."""
    listed.make(root / 'training', 'kitti')


# the images, the folder of the lists, and what stands in a line
LAYOUTS = {
    'voc': (of_voc, '', 'JPEGImages/{}.png Annotations/{}.xml'),  # PaddleDetection
    'voc names': (of_voc, 'ImageSets', '{}'),
    'kitti': (of_kitti, 'ImageSets', '{}'),
    'dota': (lambda root: listed.make(root, 'dota'), '', './images/{}.png'),
    'cvat': (lambda root: listed.make(root, 'cvat'), 'splits', '/home/me/{}.png'),
    'csv': (lambda root: listed.make(root, 'csv retinanet'), '', '{}.png'),
}


def write_lists(folder, line, **splits):
    folder.mkdir(exist_ok=True)
    for split, names in splits.items():
        text = '\n'.join(line.format(name, name) for name in names)
        (folder / f'{split}.txt').write_text(text + '\n')


def parts_of(kind, root):
    datasets, _ = convert_folder(READERS[kind.split()[0]], root)
    return {split: set(boxes_of(dataset)) for split, dataset in datasets.items()}, datasets


@pytest.mark.parametrize('kind', LAYOUTS)
def test_each_image_is_in_the_split_of_its_list(tmp_path, kind):
    root = tmp_path / 'own'
    make, folder, line = LAYOUTS[kind]
    make(root)
    write_lists(root / folder, line, train=('0', 'empty'), valid=('1',), test=('2',))
    parts, datasets = parts_of(kind, root)
    assert parts == {'train': {'0.png', 'empty.png'}, 'val': {'1.png'}, 'test': {'2.png'}}
    for dataset in datasets.values():
        assert_fits(dataset, boxes=2)


def test_trainval_and_test(tmp_path):
    root = tmp_path / 'own'
    of_voc(root)
    write_lists(root, '{}', trainval=('0', '1', 'empty'), test=('2',))
    assert parts_of('voc', root)[0] == {
        'train': {'0.png', '1.png', 'empty.png'},
        'test': {'2.png'},
    }


def test_lists_of_labelme(tmp_path):
    root = tmp_path / 'own'
    labelme.make(root, range(3))
    write_lists(root, '{}.json', train=('0', '1'), val=('2',))
    datasets, _ = convert_folder(lambda r: read_labelme(r, tmp_path / 'more'), root)
    assert {s: len(d) for s, d in datasets.items()} == {'train': 2, 'val': 1}


def test_lists_beside_a_coco_file_are_said(tmp_path):
    root = tmp_path / 'own'
    write_coco(root / 'all.json', make_coco(root))
    names = [path.name for path in root.rglob('*.png')]
    assert 'list the images' not in configure(root)[1]
    write_lists(root, '{}', train=names[:-1], val=names[-1:])
    assert 'list the images of train, val, and are not read' in configure(root)[1]


@pytest.mark.parametrize(
    ('splits', 'said'),
    [
        ({'train': ('0', '1'), 'val': ('2',)}, r'1 of 4 images are in none of the lists .*empty'),
        ({'train': NAMES, 'val': ('2',)}, r'1 images are in two of .*train\.txt'),
    ],
)
def test_lists_that_part_the_images_badly(tmp_path, splits, said):
    root = tmp_path / 'own'
    of_voc(root)
    write_lists(root, '{}', **splits)
    with pytest.raises(ValueError, match=said):
        parts_of('voc', root)


def test_two_lists_of_a_split(tmp_path):
    root = tmp_path / 'own'
    of_voc(root)
    write_lists(root, '{}', train=('0', '1', 'empty'), val=('2',))
    write_lists(root / 'fold2', '{}', train=('2', '1', 'empty'), val=('0',))
    with pytest.raises(ValueError, match=r'different images of the train split'):
        parts_of('voc', root)


@pytest.mark.parametrize(
    ('name', 'text'), [('train.txt', 'epoch 1 loss 2\n'), ('train.txt', ''), ('notes.txt', '0\n')]
)
def test_what_is_no_list_is_passed_over(tmp_path, name, text):
    root = tmp_path / 'own'
    of_voc(root)
    write_lists(root, '{}', val=('2',))
    (root / name).write_text(text)
    assert parts_of('voc', root)[0] == {'train': {f'{name}.png' for name in NAMES}}


def test_images_of_one_name_are_told_by_their_folders(tmp_path):
    images = [tmp_path / folder / '1.png' for folder in ('a', 'b')]
    (tmp_path / 'train.txt').write_text('a/1.png\n')
    (tmp_path / 'val.txt').write_text('b/1.png\n')
    lists = [tmp_path / 'train.txt', tmp_path / 'val.txt']
    assert split_by_lists(images, lists) == {'train': images[:1], 'val': images[1:]}
