"""Label maps in folders of other names: layouts of public data sets, by value."""

import copy
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from tests.new_config.test_mask_layouts import assert_fits, write_names
from tests.new_config.test_mask_layouts import draw as draw_flat
from tests.new_config.test_rare_classes import UPERNET
from tnt_backbone.data_checks.label_maps import read_label_map
from tnt_backbone.new_config.masks import set_mask_data
from tnt_backbone.run.find_config import find_config

SHARE = 0.25  # of the images, for the validation


@pytest.fixture(scope='module')
def upernet():
    return Config.fromfile(find_config(UPERNET))


@pytest.fixture
def make(upernet):
    def make_config(root, share=None, new_labels=None):
        cfg = copy.deepcopy(upernet)
        set_mask_data(cfg, root, new_labels, root.parent / 'out', share, overwrite=True)
        return cfg

    return make_config


def draw(images, labels, number, *, suffix='.png', **options):
    """Draw a picture with noise, as photographs have: a label map has few colours."""
    draw_flat(images, labels, number, suffix=suffix, **options)
    path = images / f'{number}{suffix}'
    pixels = np.asarray(Image.open(path)).astype(int)
    noise = np.random.default_rng(number).integers(-6, 7, pixels.shape)
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(path)


def isic(root):
    for split, numbers in (('Training', range(3)), ('Validation', [5])):
        for number in numbers:
            images, labels = root / f'Task1-2_{split}_Input', root / f'Task1_{split}_GroundTruth'
            draw(images, labels, number, ending='_segmentation.png')


def nested(root):
    for split, numbers in (('Train', range(3)), ('Val', [5])):
        for number in numbers:
            draw(root / split / 'Urban/images_png', root / split / 'Urban/masks_png', number)


def satellite(root):
    """Images and label maps lie together, and both have an end."""
    for split, numbers in (('train', range(3)), ('valid', [5])):
        for number in numbers:
            draw(root / split, root / split, number, suffix='_sat.png', ending='_mask.png')


def voc(root):
    """annotations/ comes before SegmentationClass/ in the list of names, but has XML files."""
    for number in (0, 1, 2, 5):
        draw(root / 'JPEGImages', root / 'SegmentationClass', number)
    (root / 'Annotations').mkdir()
    (root / 'Annotations/0.xml').write_text('<annotation/>')
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    for name, numbers in (('train', '0\n1\n2\n'), ('val', '5\n')):
        (root / f'ImageSets/Segmentation/{name}.txt').write_text(numbers)


@pytest.mark.parametrize('layout', [isic, nested, satellite, voc])
def test_folders_of_other_names(layout, tmp_path, make):
    layout(tmp_path / 'data')
    write_names(tmp_path / 'data/classes.txt')
    cfg = make(tmp_path / 'data')
    end = '_sat' if layout is satellite else ''
    assert_fits(cfg, 'train', [f'{number}{end}' for number in range(3)])
    assert_fits(cfg, 'val', [f'5{end}'])


def test_folders_that_cannot_be_told_apart_are_listed(tmp_path, make):
    for folder in ('Urban', 'Rural'):
        draw(tmp_path / f'train/{folder}/a', tmp_path / f'train/{folder}/b', 0)
    with pytest.raises(ValueError, match='Urban') as raised:
        make(tmp_path)
    assert 'Rural' in str(raised.value)


def test_an_inner_folder_of_label_maps_is_found(tmp_path, make):
    """Oxford's pets: annotations/trimaps, beside lists and XML files."""
    for number in range(4):
        draw(tmp_path / 'images', tmp_path / 'annotations/trimaps', number)
    (tmp_path / 'annotations/xmls').mkdir()
    write_names(tmp_path / 'classes.txt')
    cfg = make(tmp_path, SHARE)
    prefix = cfg.train_dataloader.dataset.data_prefix
    assert prefix.seg_map_path == 'annotations/trimaps'


def test_numbers_that_count_objects_are_no_classes(tmp_path, make):
    """Penn-Fudan's masks: 1 to n in an image of n pedestrians."""
    for number in range(4):
        draw(tmp_path / 'PNGImages', tmp_path / 'PedMasks', number, ending='_mask.png')
        truth = np.zeros((24, 32), np.uint8)
        for label in range(1, number + 2):
            truth[5:9, 6 * label : 6 * label + 4] = label
        Image.fromarray(truth).save(tmp_path / f'PedMasks/{number}_mask.png')
    with pytest.raises(ValueError, match='--label-map') as raised:
        make(tmp_path, SHARE)
    advice = re.search(r'--label-map((?: \d=\d)+)', str(raised.value))
    cfg = make(
        tmp_path, SHARE, {int(old): int(new) for old, new in re.findall(r'(\d)=(\d)', advice[1])}
    )
    assert len(cfg.train_dataloader.dataset.metainfo.classes) == 2
    write_names(tmp_path / 'classes.txt')
    with (tmp_path / 'classes.txt').open('a') as file:
        file.write('\nbird\nhorse\n')
    make(tmp_path, SHARE)


def test_black_and_white_masks(tmp_path, make):
    """JPEGs by the command of the message; three equal channels by a table of colours."""
    for number in range(4):
        draw(tmp_path / 'images', tmp_path / 'masks', number, ending='.jpg')
        truth = np.zeros((24, 32), np.uint8)
        truth[4:20, 8:24] = 255
        Image.fromarray(truth).save(tmp_path / f'masks/{number}.jpg', quality=80)
    with pytest.raises(ValueError, match=r'\.jpg') as raised:
        make(tmp_path, SHARE)
    command = shlex.split(re.search(r'python -c ".*"', str(raised.value))[0])
    subprocess.run([sys.executable, *command[1:]], check=True)
    cfg = make(tmp_path, SHARE)
    assert cfg.train_dataloader.dataset.seg_map_suffix == '.png'
    np.testing.assert_array_equal(read_label_map(tmp_path / 'masks/0.png') * 255, truth)

    for number in range(4):
        Image.fromarray(np.stack([truth] * 3, -1)).save(tmp_path / f'masks/{number}.png')
    with pytest.raises(ValueError, match=r'class_dict\.csv') as raised:
        make(tmp_path, SHARE)
    assert '0,0,0 255,255,255' in str(raised.value)
    (tmp_path / 'class_dict.csv').write_text('name,r,g,b\nother,0,0,0\nroad,255,255,255\n')
    cfg = make(tmp_path, SHARE)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('other', 'road')

    command = shlex.split(re.search(r'python -c ".*"', str(raised.value))[0])
    subprocess.run([sys.executable, *command[1:]], check=True)
    np.testing.assert_array_equal(read_label_map(tmp_path / 'masks/0.png'), truth)


def test_names_of_pascal_voc(tmp_path, make):
    voc(tmp_path)
    stripes = np.arange(32, dtype=np.uint8).clip(0, 20)[None].repeat(24, 0)
    Image.fromarray(stripes).save(tmp_path / 'SegmentationClass/0.png')
    xml = '<annotation><object><name>{}</name></object></annotation>'
    (tmp_path / 'Annotations/0.xml').write_text(xml.format('cat'))
    cfg = make(tmp_path)
    classes = cfg.train_dataloader.dataset.metainfo.classes
    assert (len(classes), classes[1]) == (21, 'aeroplane')
    (tmp_path / 'Annotations/0.xml').write_text(xml.format('mouse'))
    cfg = make(tmp_path)
    assert cfg.train_dataloader.dataset.metainfo.classes[1] == 'class 1'
