"""Tables of classes: the colour of each image tells whether its class is right."""

import copy
import csv
import itertools
import json
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from tests.conftest import ROOT
from tests.new_config.scenes import COLOURS
from tnt_backbone.data_checks.files import plan_check
from tnt_backbone.new_config.class_folders import set_class_folders
from tnt_backbone.new_config.class_names import find_alike

TNT = ROOT / 'configs' / 'tnt_s_imagenet.py'
NAMES = ('bird', 'cat', 'dog')


def draw(path, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (24, 24), COLOURS[name]).save(path)


def draw_all(folder, numbers, suffix='.png', names=NAMES):
    """Write an image per number, whose class is the number's in turns; return their rows."""
    for number in numbers:
        draw(folder / f'{number}{suffix}', names[number % len(names)])
    return [(f'{number}{suffix}', names[number % len(names)]) for number in numbers]


def write(path, *rows, mark=','):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='') as file:
        csv.writer(file, delimiter=mark).writerows(rows)


@cache
def stock():
    return Config.fromfile(TNT)


def run(root, share=None):
    """Return the config with the data of a folder, and what is said."""
    cfg = copy.deepcopy(stock())
    said = set_class_folders(cfg, root, root.parent / 'own', share, overwrite=True)
    return cfg, '\n'.join(said)


def shown(cfg, phase, names=None):
    """Return the images of MMPretrain's own data set, each compared with its class.

    Args:
        cfg: The config.
        phase: Of the data set.
        names: The classes of the table to those of the colours; by default, the same.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build({**cfg[f'{phase}_dataloader'].dataset, 'pipeline': []})
    found = set()
    for info in map(dataset.get_data_info, range(len(dataset))):
        name = dataset.CLASSES[info['gt_label']]
        pixel = np.asarray(Image.open(info['img_path']).convert('RGB')).astype(int)[12, 12]
        assert abs(pixel - COLOURS[names[name] if names else name]).max() < 20, info
        found.add(Path(info['img_path']).name)
    assert len(found) == len(dataset)
    assert not [f for f in plan_check(dataset, is_training=phase == 'train').found if f.is_error]
    return found


def refused(root, text, share=None):
    with pytest.raises(ValueError, match=text):
        run(root, share)


def of(numbers, suffix='.png'):
    return {f'{number}{suffix}' for number in numbers}


# ------------------------------------------------------------------ layouts


@pytest.mark.parametrize(
    ('name', 'text', 'form'),
    [
        ('annotations.xml', '<annotations><image><tag label="cat"/></image></annotations>', 'CVAT'),
        ('a.json', '{"a.png1": {"filename": "a.png", "regions": [], "size": 1}}', 'VIA'),
    ],
)
def test_formats_of_boxes_are_not_called_readable(tmp_path, name, text, form):
    draw_all(tmp_path / 'images', range(6))
    (tmp_path / name).write_text(text)
    refused(tmp_path, rf'is of {form} .*MMDetection read\. For a classifier, export', share=0.2)


def test_a_table_that_parts_the_images_names_no_classes(tmp_path):
    """CelebA's list_eval_partition.txt, and a column of folds."""
    draw_all(tmp_path / 'own', range(9))
    rows = [(f'{i}.png', NAMES[i % 3], i // 4) for i in range(9)]
    partition = tmp_path / 'own/list_eval_partition.txt'
    partition.write_text('\n'.join(f'{name} {part}' for name, _, part in rows))
    refused(tmp_path / 'own', 'its name says that it parts the images', share=0.34)
    write(tmp_path / 'own/folds.csv', ('id', 'fold'), *((name, part) for name, _, part in rows))
    write(tmp_path / 'own/k.csv', ('id', 'kfold'), *((name, part) for name, _, part in rows))
    refused(tmp_path / 'own', r'k\.csv is passed over, since no column', share=0.34)
    write(tmp_path / 'own/all_splits.csv', ('id', 'label'), *(row[:2] for row in rows))
    cfg, said = run(tmp_path / 'own', 0.34)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(9))
    assert 'list_eval_partition.txt is passed over' in said


def test_numbers_get_the_names_of_the_folders_of_their_images(tmp_path):
    """ImageNet's meta/train.txt, whose validation images lie in one folder."""
    root = tmp_path / 'own'
    for i in range(9):
        draw(root / 'train' / NAMES[i % 3] / f'{i}.png', NAMES[i % 3])
    for i in range(9, 12):
        draw(root / 'val' / f'{i}.png', NAMES[i % 3])
    (root / 'meta').mkdir()
    lines = [f'{NAMES[i % 3]}/{i}.png {(i + 1) % 3}' for i in range(9)]
    (root / 'meta/train.txt').write_text('\n'.join(lines))
    lines = [f'{i}.png {(i + 1) % 3}' for i in range(9, 12)]
    (root / 'meta/val.txt').write_text('\n'.join(lines))
    cfg, said = run(root)
    assert shown(cfg, 'train') == of(range(9))
    assert shown(cfg, 'val') == of(range(9, 12))
    assert 'those of their folders: 0 is dog' in said


@pytest.mark.parametrize(
    ('header', 'values'),
    [(('filename', 'split'), ('train', 'test')), (('id', 'is_valid'), ('False', 'True'))],
)
def test_a_table_parts_class_folders(tmp_path, header, values):
    root = tmp_path / 'own'
    for i in range(9):
        draw(root / NAMES[i % 3] / f'{i}.png', NAMES[i % 3])
    rows = [(f'{NAMES[i % 3]}/{i}.png', values[i > 5]) for i in range(9)]
    write(root / 'split.csv', header, *rows)
    cfg, said = run(root)
    assert shown(cfg, 'train') == of(range(6))
    assert shown(cfg, 'val') == of(range(6, 9))
    assert 'the splits are those of a table' in said
    write(root / 'split.csv', header, *rows[1:])
    refused(root, r'1 of 9 are in no row')


def test_lists_of_pascal_voc_are_refused(tmp_path):
    draw_all(tmp_path / 'JPEGImages', range(6))
    for name in NAMES:
        rows = [f'{i} {1 if NAMES[i % 3] == name else -1}' for i in range(6)]
        place = tmp_path / 'ImageSets/Main' / f'{name}_train.txt'
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('\n'.join(rows))
    refused(tmp_path, r"Main has Pascal VOC's lists .*such as bird_train\.txt.*filename,label")


def kaggle(root):
    """Names without endings; test images without classes."""
    rows = draw_all(root / 'train', range(9)) + draw_all(root / 'val', range(9, 12))
    write(root / 'train.csv', ('Id', 'Breed'), *((name[:-4], label) for name, label in rows[:9]))
    write(root / 'val.csv', ('Id', 'Breed'), *((name[:-4], label) for name, label in rows[9:]))
    draw_all(root / 'test', range(12, 14))
    write(root / 'test.csv', ['id'], ['12'], ['13'])
    write(root / 'sample_submission.csv', ('id', *NAMES), ('12', 0, 0, 1), ('13', 0, 1, 0))


def split_column(root):
    rows = draw_all(root / 'a folder', range(12))
    lines = [
        (i, f'a folder\\{name}', label, 'train' if i < 9 else 'Valid')
        for i, (name, label) in enumerate(rows)
    ]
    write(root / 'labels.tsv', ('', 'file_path', 'species', 'subset'), *lines, mark='\t')


def no_header(root):
    rows = draw_all(root / 'images', range(12))
    write(root / 'train.csv', *rows[:9], mark=';')
    write(root / 'val.csv', *rows[9:], mark=';')
    write(root / 'classes.csv', *enumerate(f'the {name}' for name in NAMES))


def unknown_names(root):
    """Two columns, the second of which names the images."""
    rows = [(label, name) for name, label in draw_all(root, range(12))]
    write(root / 'train.txt', ('kind of animal', 'photo'), *rows[:9])
    write(root / 'valid.txt', ('kind of animal', 'photo'), *rows[9:])


def hugging_face(root):
    for split, numbers in (('train', range(9)), ('validation', range(9, 12))):
        rows = draw_all(root / split, numbers)
        lines = [json.dumps({'file_name': name, 'note': None, 'label': cls}) for name, cls in rows]
        (root / split / 'metadata.jsonl').write_text('\n'.join(lines))


def blanks(root):
    """Of aircraft: an image without its ending, and a class that may have blanks."""
    rows = [(name[:-4], cls) for name, cls in draw_all(root / 'images', range(12))]
    for split, part in (('train', rows[:9]), ('val', rows[9:])):
        lines = [f'{name} {cls.replace("cat", "a cat")}' for name, cls in part]
        (root / f'images_kind_{split}.txt').write_text('\n'.join(lines))


LAYOUTS = [kaggle, split_column, no_header, unknown_names, hugging_face, blanks]


@pytest.mark.parametrize('make', LAYOUTS)
def test_layouts(tmp_path, make):
    root = tmp_path / 'own'
    make(root)
    cfg, said = run(root)
    classes = tuple(sorted(name.replace('cat', 'a cat') for name in NAMES))
    names = dict(zip(classes, ('cat', 'bird', 'dog'), strict=True)) if make is blanks else None
    assert shown(cfg, 'train', names) == of(range(9))
    assert shown(cfg, 'val', names) == shown(cfg, 'test', names) == of(range(9, 12))
    assert cfg.model.head.num_classes == 3
    assert cfg.train_dataloader.dataset.metainfo.classes == (classes if names else NAMES)
    assert 'the classes are those of' in said
    assert ('test.csv is passed over' in said) == (make is kaggle)
    assert 'images are in no table' not in said
    refused(root, 'validation split of 3 images. Leave out --val-share', 0.2)


def test_the_same_names_in_each_split(tmp_path):
    root = tmp_path / 'own'
    for split, turn in (('train', 0), ('val', 1)):
        rows = [(f'{i}.png', NAMES[(i + turn) % 3]) for i in range(6)]
        for name, label in rows:
            draw(root / split / name, label)
        write(root / f'{split}.csv', ('filename', 'label'), *rows)
    cfg, _ = run(root)
    assert shown(cfg, 'train') == shown(cfg, 'val') == of(range(6))
    (root / 'train' / '5.png').unlink()
    cfg, said = run(root)
    assert shown(cfg, 'train') == of(range(5)), 'that of val/ is another image'
    assert '1 of 6 images' in said


@pytest.mark.parametrize('name', ['trainLabels.csv', 'labels.csv'])
def test_test_images_with_the_names_of_training_images(tmp_path, name):
    root = tmp_path / 'own'
    rows = draw_all(root / 'train', range(12))
    draw_all(root / 'test', range(12), names=NAMES[::-1])
    write(root / name, ('id', 'label'), *((n[:-4], label) for n, label in rows))
    cfg, _ = run(root, 0.25)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))


def test_tiny_imagenet(tmp_path):
    root = tmp_path / 'own'
    codes = {'n01': 'cat', 'n02': 'dog'}
    for code, name in codes.items():
        for i in range(4):
            draw(root / 'train' / code / 'images' / f'{code}_{i}.JPEG', name)
        boxes = [(f'{code}_{i}.JPEG', 0, 0, 63, 63) for i in range(4)]
        write(root / 'train' / code / f'{code}_boxes.txt', *boxes, mark='\t')
    rows = [(f'val_{i}.JPEG', f'n0{1 + i % 2}', 0, 0, 62, 62) for i in range(4)]
    for name, code, *_ in rows:
        draw(root / 'val' / 'images' / name, codes[code])
        draw(root / 'test' / 'images' / name.replace('val', 'test'), 'cat')
    write(root / 'val' / 'val_annotations.txt', *rows, mark='\t')
    (root / 'wnids.txt').write_text('n01\nn02\n')
    (root / 'words.txt').write_text('n01\tcat\nn02\tdog\n')
    cfg, _ = run(root)
    assert shown(cfg, 'train', codes) == {f'n0{c}_{i}.JPEG' for c in (1, 2) for i in range(4)}
    assert shown(cfg, 'val', codes) == shown(cfg, 'test', codes) == {row[0] for row in rows}


def label_studio(root, rows):
    header = ('annotation_id', 'annotator', 'choice', 'created_at', 'id', 'image', 'lead_time')
    rows = [(i, 1, c, '2024', i + 50, f'/data/upload/1/{n}', 1.5) for i, (n, c) in enumerate(rows)]
    write(root / 'project-1-at-2024.csv', header, *rows)


def fiftyone(root, rows):
    lines = [(f'data/{name}', 'train', label) for name, label in rows]
    write(root / 'labels.csv', ('filepath', 'tags', 'ground_truth'), *lines)


def open_images(root, rows):
    """Confidence 0: somebody looked, and the image is not of the class."""
    header = ('ImageID', 'Source', 'LabelName', 'Confidence')
    wrong = [(name[:-4], 'verification', NAMES[0], 0) for name, c in rows if c != NAMES[0]]
    lines = [(name[:-4], 'verification', label, 1) for name, label in rows]
    write(root / 'classifications.csv', header, *wrong, *lines)


@pytest.mark.parametrize('write_rows', [label_studio, fiftyone, open_images])
def test_tables_of_tools(tmp_path, write_rows):
    root = tmp_path / 'own'
    write_rows(root, draw_all(root / 'data', range(12)))
    cfg, said = run(root, 0.25)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))
    assert ('8 rows of' in said) == (write_rows is open_images)


def test_accents_that_are_stored_in_another_way(tmp_path):
    root = tmp_path / 'own'
    rows = draw_all(root / 'data', range(12), suffix='e\u0301.png')
    rows = [(name.replace('e\u0301', '\u00e9'), label) for name, label in rows]
    write(root / 'labels.csv', ('filename', 'label'), *rows)
    cfg, _ = run(root, 0.25)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12), 'e\u0301.png')


def test_imagenet_of_kaggle(tmp_path):
    """A class and its boxes in a cell; lists whose numbers count the images."""
    root = tmp_path / 'own'
    codes = {'bird': 'n01530575', 'cat': 'n02123045', 'dog': 'n02085620'}
    titles = {'bird': 'brambling, Fringilla', 'cat': 'tabby, tabby cat', 'dog': 'Chihuahua'}
    folder = root / 'ILSVRC/Data/CLS-LOC'
    rows = {'train': [], 'val': []}
    for i in range(9):
        name = NAMES[i % 3]
        draw(folder / 'train' / codes[name] / f'{codes[name]}_{i}.JPEG', name)
        boxes = f'{codes[name]} 1 2 13 14 ' * (1 + i % 2)
        rows['train'].append((f'{codes[name]}_{i}', boxes))
    for i in range(3):
        draw(folder / f'val/ILSVRC2012_val_0000000{i}.JPEG', NAMES[i])
        draw(folder / f'test/ILSVRC2012_test_0000000{i}.JPEG', NAMES[0])
        rows['val'].append((f'ILSVRC2012_val_0000000{i}', f'{codes[NAMES[i]]} 85 1 499 272 '))
    for split, lines in rows.items():
        write(root / f'LOC_{split}_solution.csv', ('ImageId', 'PredictionString'), *lines)
    test = ('ILSVRC2012_test_00000000', f'{codes["cat"]} 0 0 1 1')
    write(root / 'LOC_sample_submission.csv', ('ImageId', 'PredictionString'), test)
    synsets = ''.join(f'{codes[name]} {titles[name]}\n' for name in NAMES)
    (root / 'LOC_synset_mapping.txt').write_text(synsets)
    lists = root / 'ILSVRC/ImageSets/CLS-LOC'
    lists.mkdir(parents=True)
    lines = [f'{codes[NAMES[i % 3]]}/{codes[NAMES[i % 3]]}_{i} {i + 1}\n' for i in range(9)]
    (lists / 'train_cls.txt').write_text(''.join(lines))
    (lists / 'val.txt').write_text(''.join(f'ILSVRC2012_val_0000000{i} {i}\n' for i in range(3)))
    cfg, _ = run(root)
    names = {titles[name].partition(',')[0]: name for name in NAMES}
    train = {f'{codes[NAMES[i % 3]]}_{i}.JPEG' for i in range(9)}
    assert shown(cfg, 'train', names) == train
    assert shown(cfg, 'val', names) == {f'ILSVRC2012_val_0000000{i}.JPEG' for i in range(3)}
    refused(folder, r'val are in no class folder.*val\.csv')


def test_numbers_spaces_and_a_share(tmp_path):
    """Classes are in the order of numbers; of a list with spaces, the last word is the class."""
    root = tmp_path / 'own'
    colours = {'2': 'cat', '10': 'dog', '0': 'bird'}
    lines = []
    for number, name in colours.items():
        for i in range(10):
            draw(root / ' pictures of' / f'  my {name} {i} .png', name)
            lines.append(f'  my {name} {i} .png {number}')
    (root / 'all.txt').write_text('\n'.join(lines))
    refused(root, r'30 images to train on.*--val-share 0\.2')
    cfg, _ = run(root, 0.2)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('0', '2', '10')
    train, val = shown(cfg, 'train', colours), shown(cfg, 'val', colours)
    assert (len(train), len(val), len(train | val)) == (24, 6, 30)
    assert all(sum(name in path for path in val) == 2 for name in colours.values())
    again, _ = run(root, 0.2)
    assert shown(again, 'val', colours) == val
    write(root / 'test.csv', ('image', 'label'), ('a.png', 2.0), ('b.png', 10.0))
    draw(root / 'a.png', 'cat')
    draw(root / 'b.png', 'dog')
    (root / 'all.txt').rename(root / 'train.txt')
    cfg, said = run(root, 0.2)
    assert 'the test split has no image of 0' in said
    assert shown(cfg, 'test', colours) == {'a.png', 'b.png'}
    assert shown(cfg, 'train', colours) == train


def test_names_instead_of_numbers_where_both_are_there(tmp_path):
    root = tmp_path / 'own'
    rows = [(n, NAMES.index(label), label) for n, label in draw_all(root / 'images', range(12))]
    header = ('image', 'label', 'class_name')
    write(root / 'labels.csv', header, *rows)
    cfg, _ = run(root, 0.25)
    assert cfg.train_dataloader.dataset.metainfo.classes == NAMES
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))
    write(root / 'labels.csv', header, *rows[:-1], (rows[-1][0], 0, 'dog'))
    refused(root, 'several columns that may be the class .*label', 0.25)


def test_training_samples(tmp_path):
    """What the network gets has the colour of its class."""
    root = tmp_path / 'own'
    kaggle(root)
    cfg, _ = run(root)
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        samples = list(DATASETS.build(dataset))
    assert len(samples) == 9
    for sample in samples:
        name = NAMES[int(sample['data_samples'].gt_label)]
        assert tuple(sample['inputs'][:, 12, 12].flip(0).tolist()) == COLOURS[name]


# ------------------------------------------------------------------ tables beside class folders


def test_class_folders_with_a_table_that_says_the_same(tmp_path):
    root = tmp_path / 'own'
    rows = []
    for split, numbers in (('train', range(4)), ('val', range(4, 6))):
        for number, (i, name) in ((n, pair) for n in numbers for pair in enumerate(NAMES)):
            draw(root / split / name / f'{number}.png', name)
            rows.append((f'{split}/{name}/{number}.png', i, split))
    write(root / 'labels.csv', ('path', 'label', 'split'), *rows)
    cfg, _ = run(root)
    assert cfg.train_dataloader.dataset.metainfo.classes == NAMES
    assert cfg.train_dataloader.dataset.data_prefix == 'train'
    wrong = [(path, {'cat': 'dog'}.get(path.split('/')[1], 'cat'), s) for path, _, s in rows]
    write(root / 'labels.csv', ('path', 'label', 'split'), *wrong[:5], *wrong[7:])
    refused(root, r'in the folder of another class than a table says, such as .*/\w+/\d\.png')


def test_folders_that_are_no_classes(tmp_path):
    """HAM10000: two folders of images, and a table for both."""
    root = tmp_path / 'own'
    rows = draw_all(root / 'part_1', range(6)) + draw_all(root / 'part_2', range(6, 12))
    header = ('lesion_id', 'image_id', 'dx', 'age')
    write(root / 'metadata.csv', header, *(('x', n[:-4], label, 40) for n, label in rows))
    cfg, said = run(root, 0.25)
    assert cfg.train_dataloader.dataset.metainfo.classes == NAMES
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))
    assert 'metadata.csv, column dx' in said


# ------------------------------------------------------------------ what is refused, or said


@pytest.mark.parametrize(
    ('cells', 'text'),
    [
        (['cat', 'dog', 'cat dog', 'cat', 'dog', 'cat'], 'several labels in a cell .cat dog'),
        (['cat,dog', 'dog,cat', 'bird', 'bird', 'bird', 'bird'], 'several labels in a cell'),
        (['cat;dog'] * 3 + ['cat'] * 3, 'several labels in a cell .cat;dog'),
        (['a|b'] * 3 + ['c'] * 3, r'several labels in a cell .a\|b'),
        (["['cat']"] * 3 + ["['dog']"] * 3, 'several labels in a cell'),
        (['1 2', '2 3', '1 3', '1 2', '2 3', '1 3', '1 2 3'], 'several labels in a cell'),
        (['cat dog', 'dog bird', 'cat bird'] * 2, 'several labels in a cell'),
        (['16 0', '7 25', '16 0', '7 25', '5', '5'], 'several labels in a cell .16 0, 7 25'),
        (['0.5', '1.5', '0.5', '1.5', '0.5', '1'], r'fractions .0\.5'),
        (['a', 'b', 'c', 'd', 'e', 'f'], '6 of 6 classes have a single image'),
        (['', '', 'cat', 'cat', 'cat', 'cat'], 'one class only'),
        (['cat', 'dog', 'cat', 'dog'], None),
        (['Maine Coon', 'Birman', 'Maine Coon', 'Birman'], None),
        (['Audi S4 2012', 'Audi S4 2007', 'Audi A5 2012', 'BMW X5 2007', 'BMW X6 2012'] * 2, None),
        (['pepper', 'bell pepper', 'pepper', 'bell pepper'], None),
        (['tench, Tinca tinca', 'goldfish, Carassius auratus'] * 2, None),
    ],
)
def test_several_labels_in_a_cell(tmp_path, cells, text):
    root = tmp_path / 'own'
    for i in range(len(cells)):
        draw(root / 'images' / f'{i}.png', 'cat')
    write(root / 'labels.csv', ('image', 'label'), *((f'{i}.png', c) for i, c in enumerate(cells)))
    if text:
        refused(root, text, 0.2)
    else:
        cfg, _ = run(root, 0.2)
        assert cfg.train_dataloader.dataset.metainfo.classes == tuple(sorted(set(cells)))


@pytest.mark.parametrize(('yes', 'no'), [('1', '0'), ('1.0', '0.0'), ('True', 'False'), (1, -1)])
def test_a_column_per_label(tmp_path, yes, no):
    root = tmp_path / 'own'
    rows = draw_all(root / 'train', range(6))
    flags = [(n, *(yes if label in (name, 'cat') else no for name in NAMES)) for n, label in rows]
    write(root / 'train' / '_classes.csv', ('filename', *(f' {name}' for name in NAMES)), *flags)
    refused(root, 'a column per label .bird, cat, dog.*one class per image', 0.2)


def test_columns_without_a_cell_are_no_labels(tmp_path):
    """Datumaro's form of VGG-Face2: class folders, and a table of landmarks that nobody set."""
    root = tmp_path / 'own'
    for number in range(4):
        for name in NAMES:
            draw(root / 'train' / name / f'{number}.png', name)
    rows = [(f'{name}/{number}', '', '') for name in NAMES for number in range(4)]
    write(root / 'bb_landmark' / 'train.csv', ('NAME_ID', 'P1X', 'P1Y'), *rows)
    cfg, _ = run(root, 0.25)
    assert cfg.train_dataloader.dataset.metainfo.classes == NAMES


@pytest.mark.parametrize(('yes', 'no'), [(1, 0), ('1.0', '0.0')])
def test_a_column_per_class(tmp_path, yes, no):
    """ISIC: exactly one column of each row says yes, so an image has one class."""
    root = tmp_path / 'own'
    rows = draw_all(root / 'images', range(12))
    flags = [(n[:-4], *(yes if label == name else no for name in NAMES)) for n, label in rows]
    write(root / 'truth.csv', ('image', *NAMES), *flags)
    cfg, said = run(root, 0.25)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))
    assert 'truth.csv, column with a 1, of bird, cat, dog' in said
    for odd in ((yes, yes, no), (no, no, no)):
        write(root / 'truth.csv', ('image', *NAMES), *flags[:-1], (rows[-1][0], *odd))
        refused(root, 'a column per label .bird, cat, dog', 0.25)


def test_an_image_with_two_classes_or_splits_and_repeated_rows(tmp_path):
    root = tmp_path / 'own'
    rows = draw_all(root / 'images', range(12))
    table = root / 'train.csv'
    write(table, ('image', 'label'), *rows, rows[0], rows[0])
    cfg, said = run(root, 0.25)
    assert '2 rows repeat an image with the same class' in said
    assert len(shown(cfg, 'train') | shown(cfg, 'val')) == 12
    write(table, ('image', 'label'), *rows, ('0.png', 'dog'))
    refused(root, r'0\.png has two classes: bird in .*train\.csv, and dog', 0.25)
    write(table, ('image', 'label'), *rows)
    write(root / 'val.csv', ('image', 'label'), rows[3])
    refused(root, r'3\.png is in two splits: train in .*, and val in')


def test_images_that_are_missing(tmp_path):
    root = tmp_path / 'own'
    rows = draw_all(root / 'images', range(12))
    draw_all(root / 'images', range(20, 22))
    write(root / 'labels.csv', ('image', 'label'), *rows, ('x.png', 'cat'), ('y.png', ''))
    cfg, said = run(root, 0.25)
    assert shown(cfg, 'train') | shown(cfg, 'val') == of(range(12))
    assert r'1 of 13 images that' in said
    assert '(x.png). They are left out' in said
    assert '2 images are in no table and are left out' in said
    assert '1 rows of' in said
    absent = [(f'{i}.jpg', 'cat') for i in range(100, 120)]
    write(root / 'labels.csv', ('image', 'label'), *rows, *absent)
    refused(root, r'20 of 32 images .*100\.jpg.*Add the images', 0.25)
    write(root / 'labels.csv', ('image', 'label'), *absent)
    refused(root, r'labels\.csv names no image that is there .100\.jpg', 0.25)


def test_another_encoding(tmp_path):
    draw_all(tmp_path / 'own', range(2))
    text = 'image,label\n0.png,été\n1.png,hiver\n'
    (tmp_path / 'own' / 'labels.csv').write_text(text, encoding='latin-1')
    refused(tmp_path / 'own', r'labels\.csv is not in UTF-8')


@pytest.mark.parametrize('hint', ['', 'sep={}\r\n'])
@pytest.mark.parametrize(('encoding', 'mark'), [('utf-16', '\t'), ('utf-16', ','), ('utf-8', '|')])
def test_texts_of_excel(tmp_path, encoding, mark, hint):
    rows = [('image', 'label'), *draw_all(tmp_path / 'own', range(12))]
    text = '\r\n'.join(mark.join(row).replace('bird', 'été') for row in rows)
    text = hint.format(mark) + text
    (tmp_path / 'own' / 'labels.csv').write_bytes(text.encode(encoding))
    cfg, _ = run(tmp_path / 'own', 0.25)
    names = {'été': 'bird', 'cat': 'cat', 'dog': 'dog'}
    assert shown(cfg, 'train', names) | shown(cfg, 'val', names) == of(range(12))


@pytest.mark.parametrize(
    ('files', 'text'),
    [
        (
            {'train.csv': 'image,label\n0.png,bird\n1.png,cat,x\n'},
            r'row of 3 cells .1\.png, cat, x',
        ),
        ({'l.csv': 'image,label,split\n0.png,a,train\n1.png,b,dev\n'}, "split 'dev'"),
        ({'val.csv': 'image,label\n0.png,a\n1.png,b\n'}, 'classes for val, but none for training'),
        (
            {
                'train.csv': 'image,label\n0.png,a\n1.png,b\n',
                'val.csv': 'image,label\n2.png,c\n3.png,a\n',
            },
            'val split of .* classes c, and no image',
        ),
        (
            {'val.csv': 'image,label\n0.png,a\n1.png,b\n', 'x.csv': 'image,label\n2.png,a\n'},
            '1 into none, such as .*2.png',
        ),
        (
            {'train.csv': 'image,size,depth\n0.png,4,5\n1.png,7,8\n'},
            'no column of it names classes',
        ),
    ],
)
def test_tables_that_do_not_fit(tmp_path, files, text):
    root = tmp_path / 'own'
    draw_all(root / 'images', range(6))
    for name, content in files.items():
        (root / name).write_text(content)
    refused(root, text)


def test_classes_in_the_names_of_images(tmp_path):
    """They are not guessed; the command of the message sorts the images."""
    root = tmp_path / "my 'own'"
    for i in range(12):
        draw(root / 'train' / f'{NAMES[i % 3]}{"._"[i % 2]}{i}.png', NAMES[i % 3])
    with pytest.raises(FileNotFoundError, match='begin with bird, cat, dog') as stopped:
        run(root)
    with pytest.raises(ValueError, match='begin with bird, cat, dog'):
        run(root, 0.25)
    draw_all(root / 'test', range(2))  # of Kaggle's cats and dogs
    refused(root, 'names of 12 images begin with bird, cat, dog')
    command = shlex.split(str(stopped.value).partition('class folders: ')[2])
    assert command[0] == 'python'
    subprocess.run([sys.executable, '-W', 'error', *command[1:]], check=True)
    cfg, _ = run(root, 0.25)
    assert len(shown(cfg, 'train') | shown(cfg, 'val')) == 12


def test_a_hint_for_images_without_splits(tmp_path):
    """Oxford's pets: images/Abyssinian_1.jpg, without folders of splits.

    Their list has three numbers after each name, of which only people know which is the class.
    """
    names = [f'{NAMES[i % 2]}_{i}' for i in range(6)]
    for name in names:
        draw(tmp_path / 'own' / 'images' / f'{name}.jpg', name.partition('_')[0])
    (tmp_path / 'own' / 'list.txt').write_text('\n'.join(f'{name} 1 1 2' for name in names))
    for root, share in itertools.product((tmp_path / 'own', tmp_path / 'own' / 'images'), (0, 0.2)):
        with pytest.raises((ValueError, FileNotFoundError), match='begin with bird, cat'):
            run(root, share)


def test_names_that_look_alike_are_said(tmp_path):
    root = tmp_path / 'own'
    labels = ('cat', 'Cat', 'CAT ', 'dog')
    rows = [(name, labels[i % 4]) for i, (name, _) in enumerate(draw_all(root, range(16)))]
    rows[0] = (rows[0][0], 'nan')
    write(root / 'labels.csv', ('filename', 'label'), *rows)
    cfg, said = run(root, 0.25)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('CAT', 'Cat', 'cat', 'dog')
    assert 'numbers are counted apart: CAT, Cat, cat. Correct' in said
    assert '1 rows of' in said
    assert 'name no class' in said


@pytest.mark.parametrize('unseen', ['cat\u200b', '\ufeffcat', 'cat\u00a0', 'cafe\u0301'])
def test_what_cannot_be_seen_makes_no_other_class(tmp_path, unseen):
    root = tmp_path / 'own'
    name = 'caf\u00e9' if unseen.startswith('caf') else 'cat'
    labels = {'cat': (name, unseen)}
    rows = [
        (image, labels.get(label, (label, label))[i % 2])
        for i, (image, label) in enumerate(draw_all(root, range(12)))
    ]
    write(root / 'labels.csv', ('filename', 'label'), *rows)
    cfg, _ = run(root, 0.25)
    names = {'bird': 'bird', name: 'cat', 'dog': 'dog'}
    assert shown(cfg, 'train', names) | shown(cfg, 'val', names) == of(range(12))


@pytest.mark.parametrize('unknown', ['None', 'N/A', '-1', '?'])
def test_a_class_that_may_be_unknown_is_said(tmp_path, unknown):
    root = tmp_path / 'own'
    rows = draw_all(root, range(14))
    rows[12:] = [(image, unknown) for image, _ in rows[12:]]
    write(root / 'labels.csv', ('filename', 'label'), *rows)
    said = run(root, 0.25)[1]
    assert f'{unknown} is learned as a class like the others, from 2 images' in said


def test_names_that_are_nearly_the_same(tmp_path):
    apart = ('cat', 'dog', 'big cat', '-1', '1', 'caf\u00e9', 'cafe')
    assert not find_alike(apart)
    for first, second in (
        ('big_cat', 'Big-cat'),
        ('01', '1'),
        ('caf\u00e9', 'cafe\u0301'),
        ('stra\u00dfe', 'STRASSE'),
        ('cat', 'cat '),
    ):
        (said,) = find_alike(('dog', first, second))
        shown = (first, second) if first != 'caf\u00e9' else map(ascii, (first, second))
        assert all(name in said for name in shown)
    assert 'class 1 of 2 has an empty name' in find_alike(('cat', ' '))[0]


@pytest.mark.parametrize(('name', 'yes'), [('is_valid', 'val'), ('is_train', 'train')])
def test_columns_that_flag_a_split(tmp_path, name, yes):
    """Of fastai. --val-share would draw other images."""
    rows = draw_all(tmp_path / 'own', range(12))
    flags = [(i > 8) == (yes == 'val') for i in range(12)]
    lines = [(*row, flag) for row, flag in zip(rows, flags, strict=True)]
    write(tmp_path / 'own/labels.csv', ('filename', 'label', name), *lines)
    cfg, _ = run(tmp_path / 'own')
    assert shown(cfg, 'train') == of(range(9))
    assert shown(cfg, 'val') == of(range(9, 12))


@pytest.mark.parametrize(
    'columns',
    [
        {'is_valid': 'val', 'is_test': 'test'},
        {'train': 'train', 'val': 'val', 'test': 'test'},
        {'is_train': 'train', 'validation': 'val'},
    ],
    ids=lambda columns: ' '.join(columns),
)
def test_several_columns_that_flag_splits(tmp_path, columns):
    """Images of a second column were trained on."""
    rows = draw_all(tmp_path / 'own', range(12))
    splits = ['train'] * 6 + ['val'] * 3 + ['test'] * 3
    flags = [[f'{split == of_column:.1f}' for of_column in columns.values()] for split in splits]
    lines = [(*row, *flag) for row, flag in zip(rows, flags, strict=True)]
    write(tmp_path / 'own/labels.csv', ('filename', 'label', *columns), *lines)
    cfg, _ = run(tmp_path / 'own')
    assert shown(cfg, 'train') == of(range(6))
    assert shown(cfg, 'val') == of(range(6, 9))
    assert shown(cfg, 'test') == of(range(9, 12))
    lines[0] = (*lines[0][:2], *['1'] * len(columns))
    write(tmp_path / 'own/labels.csv', ('filename', 'label', *columns), *lines)
    refused(tmp_path / 'own', r'labels\.csv has a row in .* and .* by the columns')


def test_a_class_that_is_called_train_is_no_split(tmp_path):
    rows = draw_all(tmp_path / 'own', range(12))
    header = ('filename', 'bird', 'train', 'dog')
    lines = [(image, *(int(name == other) for other in NAMES)) for image, name in rows]
    write(tmp_path / 'own/labels.csv', header, *lines)
    cfg, _ = run(tmp_path / 'own', 0.25)
    names = dict(zip(('bird', 'dog', 'train'), ('bird', 'dog', 'cat'), strict=True))
    assert shown(cfg, 'train', names) | shown(cfg, 'val', names) == of(range(12))
