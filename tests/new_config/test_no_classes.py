"""Folders that are no classes, and pictures that are no images of a class, are refused."""

import numpy as np
import pytest
from PIL import Image

from tests.new_config.test_class_tables import draw, draw_all, of, refused, run, shown, write
from tnt_backbone.new_config.class_images import count_images


@pytest.mark.parametrize(
    ('folders', 'text'),
    [
        (('Final_Training/Images', 'Final_Test/Images'), 'Final_Test, Final_Training.*splits'),
        (('cars_train', 'cars_test', 'devkit'), 'cars_test, cars_train.*rename them'),
        (('images', 'annotations/trimaps'), r'annotations, images.*begin with cat, dog.*python -c'),
        (('images_001/images', 'images_002/images'), 'images_001, images_002'),
        (('fold1/cat', 'fold2/cat'), 'fold1, fold2'),
        (('seg_train/seg_train/cat', 'seg_test/cat', 'seg_pred'), 'seg_pred, seg_test, seg_train'),
        (('cat', 'dog', 'pets/dog'), r'pets has folders of the classes dog, and so has'),
    ],
)
def test_names_of_splits_and_parts(tmp_path, folders, text):
    root = tmp_path / 'own'
    for folder in folders:
        for name in ('cat_1', 'cat_2', 'dog_1', 'dog_2'):
            if folder != 'devkit':
                draw(root / folder / f'{name}.png', name[:3])
        (root / folder / 'readme.txt').parent.mkdir(exist_ok=True)
        (root / folder / 'readme.txt').touch()
    refused(root, text, 0.25)


@pytest.mark.parametrize(
    'names',
    [('freight_train', 'test_train'), ('label_0', 'label_1'), ('mask', 'no mask'), ('1', '2')],
)
def test_classes_with_such_words(tmp_path, names):
    for name in names:
        draw_all(tmp_path / 'own' / name, range(4))
    draw(tmp_path / 'own' / names[0] / 'face_mask.png', 'cat')  # of no other picture
    if names[0] == 'freight_train':
        draw(tmp_path / 'own/tram/0.png', 'cat')
    assert {*names} <= count_images(tmp_path / 'own').images.keys()


def test_classes_in_the_folder_of_a_split(tmp_path):
    for split in ('train', 'val'):
        for name in ('test tube', 'train'):
            draw_all(tmp_path / 'own' / split / name, range(3))
    cfg, _ = run(tmp_path / 'own')
    assert cfg.train_dataloader.dataset.metainfo.classes == ('test tube', 'train')


def test_masks_beside_images(tmp_path):
    """BUSI's ultrasound images."""
    for name in ('benign', 'normal'):
        for number in range(4):
            for end in ('', '_mask', '_mask_1'):
                draw(tmp_path / 'own' / name / f'{name} ({number}){end}.png', 'cat')
    refused(tmp_path / 'own', r'8 pictures in .*benign are called like masks.*\(0\)_mask', 0.25)


def test_splits_within_classes(tmp_path):
    """MVTec's data sets of anomalies, or classes that are parted one by one."""
    for name in ('bottle', 'cable'):
        for split in ('train', 'test'):
            draw_all(tmp_path / 'own' / name / split, range(3))
    refused(tmp_path / 'own', r'bottle has folders for splits \(test, train\).*DIR/train/', 0.25)


def test_hidden_folders_that_mmpretrain_reads(tmp_path):
    for split in ('train', 'val'):
        for name in ('cat', 'dog'):
            draw_all(tmp_path / 'own' / split / name, range(3))
    draw(tmp_path / 'own/train/cat/.ipynb_checkpoints/0-checkpoint.png', 'cat')
    refused(tmp_path / 'own', r'hidden folder.*Delete the folder .*ipynb_checkpoints')


def test_tables_of_one_box_per_image(tmp_path):
    """Kaggle's traffic signs: a region of each image, and its class."""
    root, head = tmp_path / 'own', ('Width', 'Roi.X1', 'Roi.Y1', 'Roi.X2', 'Roi.Y2', 'ClassId')
    for split, numbers in (('Train', range(9)), ('Test', range(9, 12))):
        rows = draw_all(root / split, numbers)
        lines = [(24, 2, 2, 20, 20, label, f'{split}/{name}') for name, label in rows]
        write(root / f'{split}.csv', (*head, 'Path'), *lines)
    cfg, _ = run(root)
    assert shown(cfg, 'train') == of(range(9))
    assert shown(cfg, 'val') == of(range(9, 12))
    write(root / 'Test.csv', (*head, 'Path'), *lines, *lines)
    refused(root, r'no validation split')


def test_columns_of_xrays(tmp_path):
    """NIH's table, whose images lie in numbered folders."""
    root = tmp_path / 'own'
    rows = draw_all(root / 'images_001/images', range(6))
    rows += draw_all(root / 'images_002/images', range(6, 12))
    write(
        root / 'Data_Entry.csv',
        ('Image Index', 'Finding Labels', 'Patient Age'),
        *((*row, 50) for row in rows),
    )
    cfg, _ = run(root, 0.25)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))
    rows[0] = (rows[0][0], 'bird|cat')
    write(root / 'Data_Entry.csv', ('Image Index', 'Finding Labels'), *rows)
    refused(root, r'several labels in a cell \(bird\|cat\)', 0.25)


@pytest.mark.parametrize('share', [None, 0.25])
def test_images_that_nothing_can_read(tmp_path, share):
    """Floats, as of satellites; one damaged file is no reason."""
    for split in ('train', 'val') if share is None else ('',):
        for name in ('cat', 'dog'):
            folder = tmp_path / 'own' / split / name
            folder.mkdir(parents=True)
            for i in range(4):
                Image.fromarray(np.zeros((8, 8), np.float32)).save(folder / f'{i}.tif')
    refused(tmp_path / 'own', r'None of the \d images .* can be read .*PNG', share)
    for path in (tmp_path / 'own').rglob('[1-3].tif'):
        Image.fromarray(np.full((8, 8), 900, np.uint16)).save(path)
    _, said = run(tmp_path / 'own', share)
    assert 'have more than 8 bits per channel' in said


def test_a_table_that_names_no_class_is_said(tmp_path):
    rows = [
        name for label in ('cat', 'dog') for name, _ in draw_all(tmp_path / 'own' / label, range(4))
    ]
    write(
        tmp_path / 'own/info.csv',
        ('filename', 'age', 'ward'),
        *((name, i, i) for i, name in enumerate(rows)),
    )
    _, said = run(tmp_path / 'own', 0.25)
    assert 'info.csv is passed over, since no column of it names classes' in said
