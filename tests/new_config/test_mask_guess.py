"""Label maps in folders of other names: layouts of public data sets, by value."""

import copy
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from tests.new_config.test_mask_layouts import assert_fits, write_names
from tests.new_config.test_mask_layouts import draw as draw_flat
from tests.new_config.test_rare_classes import UPERNET
from tnt_backbone.data_checks.label_maps import read_label_map
from tnt_backbone.new_config.formats import recognise
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


def lip(root):
    """The outer folders say trainval, the inner ones the split."""
    for split, numbers in (('train', range(3)), ('val', [5])):
        for number in numbers:
            images = root / f'TrainVal_images/{split}_images'
            draw(images, root / f'TrainVal_parsing/{split}_segmentations', number)


def coco_stuff(root):
    for split, numbers in (('train2017', range(3)), ('val2017', [5]), ('test2017', [])):
        (root / 'images' / split).mkdir(parents=True)
        for number in numbers:
            draw(root / 'images' / split, root / 'annotations' / split, number)


def bdd100k(root):
    for split, numbers in (('train', range(3)), ('val', [5])):
        for number in numbers:
            draw(root / 'images/10k' / split, root / 'labels/sem_seg/masks' / split, number)


def oxford_pets(root):
    """Lists beside the folder of label maps, with numbers behind the names."""
    for number in (0, 1, 2, 5):
        draw(root / 'images', root / 'annotations/trimaps', number)
    for name, numbers in (('trainval', range(3)), ('test', [5])):
        lines = (f'{number} 1 1 {number}' for number in numbers)
        (root / f'annotations/{name}.txt').write_text('\n'.join(lines))


def lists_in_a_folder(root):
    for number in (0, 1, 2, 5, 7):  # 7 is in no list
        draw(root / 'images', root / 'masks', number)
    (root / 'splits').mkdir()
    for name, numbers in (('train', range(3)), ('val', [5])):
        (root / f'splits/{name}.txt').write_text('\n'.join(f'{n}.png' for n in numbers))


def table_of_splits(root):
    rows = ['image,mask,split']
    for number, split in ((0, 'train'), (1, 'train'), (2, 'train'), (5, 'val')):
        draw(root / 'images', root / 'masks', number)
        rows.append(f'images/{number}.png,masks/{number}.png,{split}')
    (root / 'metadata.csv').write_text('\n'.join(rows))


@pytest.mark.parametrize(
    'layout',
    [
        isic,
        nested,
        satellite,
        voc,
        lip,
        coco_stuff,
        bdd100k,
        oxford_pets,
        lists_in_a_folder,
        table_of_splits,
    ],
)
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


@pytest.mark.parametrize('share', [None, SHARE])
def test_several_folders_of_label_maps_are_named(tmp_path, make, share):
    """Masks and colours of BDD100K: with a share, the splits would be mixed."""
    bdd100k(tmp_path)
    masks = tmp_path / 'labels/sem_seg/masks'
    shutil.copytree(masks, masks.with_name('colormaps'))
    with pytest.raises(FileNotFoundError) as raised:
        make(tmp_path, share)
    assert (
        f'{masks.with_name("colormaps")}/train, {masks}/train could all be the label maps of '
        f'{tmp_path}/images/10k/train'
    ) in str(raised.value)


def rename_images(folder, end):
    for path in list(folder.rglob('*.png')):
        path.rename(path.with_name(f'{path.stem}_{end}.png'))


def test_images_with_an_end_of_their_own(tmp_path, make):
    """Potsdam's 2_Ortho_RGB/a_RGB.tif and 5_Labels_all/a_label.tif."""
    for number in range(8):
        draw(tmp_path / '2_Ortho_RGB', tmp_path / '5_Labels', number, ending='_label.png')
    rename_images(tmp_path / '2_Ortho_RGB', 'RGB')
    write_names(tmp_path / 'classes.txt')
    cfg = make(tmp_path, SHARE)
    parts = [(tmp_path.parent / f'out_{s}.txt').read_text().split() for s in ('train', 'val')]
    assert sorted(parts[0] + parts[1]) == list('01234567')
    for phase, part in zip(('train', 'val'), parts, strict=True):
        assert_fits(cfg, phase, [f'{number}_RGB' for number in part])


def test_cityscapes_in_folders_of_our_names(tmp_path, make):
    for split, numbers in (('train', range(3)), ('val', [5])):
        for number in numbers:
            labels = tmp_path / 'labels' / split / 'aachen'
            draw(tmp_path / 'images' / split / 'aachen', labels, number, ending='_gtFine_x.png')
    rename_images(tmp_path / 'images', 'leftImg8bit')
    write_names(tmp_path / 'classes.txt')
    cfg = make(tmp_path)
    assert_fits(cfg, 'train', [f'{number}_leftImg8bit' for number in range(3)])
    assert_fits(cfg, 'val', ['5_leftImg8bit'])


@pytest.mark.parametrize('look', ['segmentor', 'detector'])
def test_masks_of_objects_in_16_bits_are_named(tmp_path, make, look):
    """KITTI's instance: the number of the class times 256, plus that of the object."""
    for number in range(3):
        draw(tmp_path / 'training/image_2', tmp_path / 'training/instance', number)
        path = tmp_path / f'training/instance/{number}.png'
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 256 + 1).save(path)
    with pytest.raises((ValueError, FileNotFoundError), match=r'instance has pictures of 16 bits'):
        make(tmp_path, SHARE) if look == 'segmentor' else recognise(tmp_path)


def test_several_years_of_a_split(tmp_path, make):
    coco_stuff(tmp_path)
    (tmp_path / 'images/train2014').mkdir()
    with pytest.raises(ValueError, match='train2014, train2017'):
        make(tmp_path)


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


def palette_of(path, order):
    """Write a label map again whose palette has the colours of the classes in another order."""
    truth = np.asarray(Image.open(path))
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[truth]).convert('P')
    table = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)])[list(order)]
    image.putpalette(table.ravel().tolist())
    image.save(path)


@pytest.mark.parametrize('orders', [[(2, 0, 1)], [(2, 0, 1), (0, 1, 2), (1, 2, 0)]])
def test_colours_of_a_palette_tell_the_classes(tmp_path, make, orders):
    """Its numbers are in any order, and another one in each file."""
    for number in range(4):
        draw(tmp_path / 'images', tmp_path / 'masks', number)
        palette_of(tmp_path / f'masks/{number}.png', orders[number % len(orders)])
    rows = 'name,r,g,b\nbackground,0,0,0\ncat,250,50,83\ndog,51,221,255\n'
    (tmp_path / 'class_dict.csv').write_text(rows)
    cfg = make(tmp_path, SHARE)
    phases = {phase: cfg[f'{phase}_dataloader'].dataset for phase in ('train', 'val')}
    for phase, leaf in phases.items():
        assert_fits(cfg, phase, Path(leaf.ann_file).read_text().split())


def test_numbers_with_a_palette_of_other_colours_stay(tmp_path, make):
    for number in range(4):
        draw(tmp_path / 'images', tmp_path / 'masks', number)
        image = Image.open(tmp_path / f'masks/{number}.png')
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(tmp_path / f'masks/{number}.png')
    rows = 'name,r,g,b\nbackground,0,0,0\ncat,250,50,83\ndog,51,221,255\n'
    (tmp_path / 'class_dict.csv').write_text(rows)
    cfg = make(tmp_path, SHARE)
    assert cfg.train_dataloader.dataset.data_prefix.seg_map_path == 'masks'


def test_colours_in_a_message_make_the_table(tmp_path, make):
    for number in range(4):
        draw(tmp_path / 'images', tmp_path / 'masks', number, kind='colours')
    with pytest.raises(ValueError, match=r'Its colours: 0,0,0 51,221,255 250,50,83$'):
        make(tmp_path, SHARE)


def test_images_that_exif_turns_are_named(tmp_path, upernet):
    """By 180 degrees: no size tells which picture was drawn on."""
    exif = Image.Exif()
    exif[0x0112] = 3
    for number in range(4):
        draw(tmp_path / 'images', tmp_path / 'masks', number)
        if number < 2:
            image = Image.open(tmp_path / f'images/{number}.png')
            image.save(tmp_path / f'images/{number}.png', exif=exif.tobytes())
    said = set_mask_data(
        copy.deepcopy(upernet), tmp_path, None, tmp_path.parent / 'out', SHARE, overwrite=True
    )
    (note,) = [text for text in said if 'EXIF turns 2 images' in text]
    assert '0.png' in note


def test_label_maps_in_a_deeper_folder_are_said_to_be_missing(tmp_path, make):
    """Mapillary Vistas: training/images and training/v2.0/labels."""
    for split in ('training', 'validation'):
        draw(tmp_path / split / 'images', tmp_path / split / 'v1.2/labels', 1)
        draw(tmp_path / split / 'images', tmp_path / split / 'v2.0/labels', 1)
    with pytest.raises(FileNotFoundError, match='training has no folder labels') as raised:
        make(tmp_path)
    assert 'pass it as --data' not in str(raised.value)


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


def test_masks_beside_images_in_folders(tmp_path, make):
    """A folder per patient, as in Kaggle's set of brain MRIs."""
    root = tmp_path / 'own'
    for number in range(8):
        folder = root / f'patient_{number % 3}'
        draw(folder, tmp_path / 'masks', number, suffix='.tif', ending='.tif')
        (tmp_path / f'masks/{number}.tif').rename(folder / f'{number}_mask.tif')
    write_names(root / 'classes.txt')
    cfg = make(root, SHARE)
    for phase, number in (('train', 6), ('val', 2)):
        listed = Path(cfg[f'{phase}_dataloader'].dataset.ann_file).read_text().split()
        assert len(listed) == number
        assert_fits(cfg, phase, [Path(line).name for line in listed])
    (root / 'patient_0/0_mask.tif').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 images .* patient_0/0 without .*0_mask\.png'):
        make(root, SHARE)


@pytest.mark.parametrize('others', ['1st_manual', 'masks', 'labels_rgb', 'depth'])
def test_several_folders_of_label_maps(tmp_path, make, upernet, others):
    """DRIVE's mask/ is the outline of the eye, and the vessels lie in 1st_manual/."""
    root = tmp_path / 'own'
    for split, numbers in (('train', range(3)), ('val', [5])):
        for number in numbers:
            draw(root / split / 'images', root / split / 'mask', number)
            other = root / split / others / f'{number}_other.png'
            other.parent.mkdir(exist_ok=True)
            pixels = np.zeros((48, 48), np.uint8)
            if others == 'depth':
                pixels += np.arange(48, dtype=np.uint8) * 5 + np.arange(48)[:, None].astype(
                    np.uint8
                )
            Image.fromarray(pixels).save(other)
    if others in ('1st_manual', 'masks'):
        with pytest.raises(ValueError, match=f'mask and .*{others} could all be|masks and .*/mask'):
            make(root)
        return
    said = set_mask_data(copy.deepcopy(upernet), root, stem=tmp_path / 'out', overwrite=True)
    assert any('labels_rgb has pictures like label maps' in line for line in said) == (
        others == 'labels_rgb'
    )


@pytest.mark.parametrize(
    ('image', 'label_map', 'said'),
    [('rgb-{}.png', '{}.png', r'has 0\.png, 1\.png'), ('{}.png', '{}_gt.gif', r'has 0_gt\.gif')],
)
def test_files_of_other_names_are_told(tmp_path, make, image, label_map, said):
    for split, numbers in (('train', range(2)), ('val', [5])):
        for number in numbers:
            images, labels = tmp_path / 'own' / split / 'images', tmp_path / 'own' / split / 'masks'
            draw(images, labels, number)
            (images / f'{number}.png').rename(images / image.format(number))
            (labels / f'{number}.png').rename(labels / label_map.format(number))
    with pytest.raises(FileNotFoundError, match=said):
        make(tmp_path / 'own')


def test_a_mask_per_object_is_named(tmp_path, make):
    """Kaggle's Data Science Bowl 2018."""
    for number in range(3):
        for part in range(2):
            folder = tmp_path / 'own/stage1_train' / f'{number}abc'
            draw(folder / 'images', folder / 'masks', number)
            (folder / f'masks/{number}.png').rename(folder / f'masks/m{part}.png')
    with pytest.raises(FileNotFoundError, match=r'one per object.*Mask R-CNN'):
        make(tmp_path / 'own', SHARE)


def test_the_pictures_that_are_there_are_told(tmp_path, make):
    for folder in ('training/image_2', 'training/semantic'):
        draw(tmp_path / 'own' / folder, tmp_path / 'none', 1)
    with pytest.raises(FileNotFoundError, match=r'training/image_2 \(1\), training/semantic \(1\)'):
        make(tmp_path / 'own', SHARE)


@pytest.mark.parametrize('order', [(0, 1, 2), (0, 2, 1)])
def test_palettes_of_training_and_validation(tmp_path, make, order):
    """Another order of the palette in the validation maps: numbers mean other classes there."""
    root, colours = tmp_path / 'own', [(0, 0, 0), (255, 0, 0), (0, 255, 0)]
    for split, numbers in (('train', range(2)), ('val', [5])):
        for number in numbers:
            draw(root / split / 'images', root / split / 'masks', number)
            path = root / split / 'masks' / f'{number}.png'
            names = order if split == 'val' else (0, 1, 2)
            with Image.open(path) as picture:
                labels = Image.fromarray(np.array(names, np.uint8)[np.asarray(picture)])
            labels.putpalette([value for name in names for value in colours[name]])
            labels.save(path)
    if order == (0, 1, 2):
        make(root)
        return
    with pytest.raises(ValueError, match=r'label 1 is the colour \(255, 0, 0\).*several classes'):
        make(root)
