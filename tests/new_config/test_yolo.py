"""YOLO's text files: every box and polygon fits the pixels that it was made of."""

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.new_config.scenes import (
    COLOURS,
    MASKS,
    assert_equal,
    assert_fits,
    boxes_of,
    configure,
    convert_folder,
    dataset_of,
    draw,
)
from tnt_backbone.new_config.class_names import read_class_names
from tnt_backbone.new_config.yolo import read_yolo

NAMES = ('cat', 'dog')


def row(thing, size=(96, 64), names=NAMES):
    """``class x y width height``: Ultralytics' rule, by hand."""
    x1, y1, x2, y2 = thing.box
    w, h = size
    numbers = (x1 + x2) / 2 / w, (y1 + y2) / 2 / h, (x2 - x1) / w, (y2 - y1) / h
    return ' '.join([str(names.index(thing.name)), *(f'{number:.6f}' for number in numbers)])


def polygon_row(thing, size=(96, 64), names=NAMES):
    x1, y1, x2, y2 = thing.box
    points = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    numbers = [value / side for point in points for value, side in zip(point, size, strict=True)]
    return ' '.join([str(names.index(thing.name)), *map(str, numbers)])


def make(images, labels, numbers, *, suffix='.png', to_row=row, **options):
    """Write images and their rows; return the rectangles of each."""
    truth = {}
    labels.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        things = draw(images / f'{i}{suffix}', seed=i, **options)
        (labels / f'{i}.txt').write_text('\n'.join(map(to_row, things)) + '\n')
        truth[f'{i}{suffix}'] = things
    return truth


def make_splits(root, numbers=12, **options):
    """Write the layout of Ultralytics; return the rectangles of both splits."""
    train = make(root / 'images/train', root / 'labels/train', range(numbers), **options)
    val = make(root / 'images/val', root / 'labels/val', range(50, 52), **options)
    write_yaml(root)
    return train, val


def write_yaml(root, text=None):
    (root / 'data.yaml').write_text(
        text or 'train: images/train\nval: images/val\nnames: [cat, dog]\n', encoding='utf-8'
    )


# ------------------------------------------------------------------ layouts


def test_pictures_that_are_not_read_are_counted(tmp_path):
    root = tmp_path / 'own'
    make_splits(root, 2)
    (root / 'images/train/9.gif').touch()
    (root / 'images/train/10.HEIC').touch()
    _, said = configure(root)
    assert '2 pictures' in said
    assert '1 .gif, 1 .heic' in said


def test_the_layout_of_ultralytics(tmp_path):
    root = tmp_path / 'own'
    train, val = make_splits(root, 3)
    test = make(root / 'images/test', root / 'labels/test', [70])
    write_yaml(
        root, 'path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]'
    )
    cfg, said = configure(root)
    for phase, truth in (('train', train), ('val', val), ('test', test)):
        dataset = dataset_of(cfg, phase)
        assert dataset.metainfo['classes'] == NAMES
        assert_equal(dataset, truth)
        assert_fits(dataset, boxes=2 * len(truth))
    assert 'format: yolo' in said
    assert 'classes in the order of' in said
    assert 'left out' not in said


DESCRIBED = {
    'names as a dict': 'train: images/train\nval: images/val\nnames:\n  1: dog\n  0: cat\nnc: 2\n',
    'lists of folders': 'train:\n  - images/train\nval: [images/val]\nnames: [cat, dog]\n',
    'another computer': r'path: /content/x'
    '\n'
    r'train: C:\data\x\images\train'
    '\n'
    'val: /home/me/images/val\nnames: [cat, dog]\n',
    'a path that is gone': 'path: ../datasets/own\ntrain: images/train\nval: images/val\n'
    'names: [cat, dog]\n',
    'from outside': 'train: ../images/train\nval: ../images/val\ntest:\nnames: [cat, dog]\n',
    'lists of images': 'train: train.txt\nval: lists/val.txt\nnames: [cat, dog]\n',
    'windows': '\ufefftrain: images\\train\r\nval: images\\val\r\nnames: [cat, dog]\r\n',
}


@pytest.mark.parametrize('kind', DESCRIBED)
@pytest.mark.parametrize('as_file', [False, True], ids=['folder', 'file'])
def test_what_data_yaml_says(tmp_path, kind, as_file):
    root = tmp_path / 'own'
    truth = make_splits(root, 3)
    write_yaml(root, DESCRIBED[kind])
    (root / 'lists').mkdir()
    (root / 'train.txt').write_text(''.join(f'./images/train/{i}.png\n' for i in range(3)))
    (root / 'lists' / 'val.txt').write_bytes(
        b'data\\own\\images\\val\\50.png\r\n/x/images/val/51.png\r\n'
    )
    datasets, _ = convert_folder(read_yolo, root / 'data.yaml' if as_file else root)
    for split, expected in zip(('train', 'val'), truth, strict=True):
        assert datasets[split].metainfo['classes'] == NAMES
        assert_equal(datasets[split], expected)


def test_names_are_texts(tmp_path):
    """YAML reads ``no`` as false and 1 as a number."""
    root = tmp_path / 'own'
    make_splits(root, 3)
    write_yaml(root, 'train: images/train\nval: images/val\nnames: [no, 1]\n')
    assert list(read_yolo(root).classes) == ['no', '1']


def test_numbers_with_gaps(tmp_path):
    """As of COCO's categories; labelformat writes them."""
    root = tmp_path / 'own'
    names = {7: 'dog', 90: 'cat'}
    numbers = {name: number for number, name in names.items()}
    truth, _ = make_splits(
        root, 3, to_row=lambda thing: f'{numbers[thing.name]}{row(thing).lstrip("01")}'
    )
    write_yaml(root, f'train: images/train\nval: images/val\nnc: 2\nnames: {names}\n')
    datasets, _ = convert_folder(read_yolo, root)
    assert datasets['train'].metainfo['classes'] == ('dog', 'cat')
    assert_equal(datasets['train'], truth)


def test_folders_of_roboflow(tmp_path):
    root = tmp_path / 'own'
    train = make(root / 'train/images', root / 'train/labels', range(3))
    val = make(root / 'valid/images', root / 'valid/labels', range(2))
    (root / 'README.roboflow.txt').write_text('1 2 3')
    write_yaml(root, 'train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]\n')
    datasets, said = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], train)
    assert_equal(datasets['val'], val)
    assert 'label files have no image' not in said
    # another data set lies beside this one
    make(tmp_path / 'train/images', tmp_path / 'train/labels', range(5))
    with pytest.raises(ValueError, match=r'train: ../train/images could be .* or .*own/train'):
        read_yolo(root)


def test_numbers_before_the_names_give_the_order(tmp_path):
    """``1: dog`` above ``0: cat``; 0.5 is a part of a name."""
    file = tmp_path / 'classes.txt'
    for text, names in (
        ('2: c\n0: a\n1: b\n', ['a', 'b', 'c']),
        ('0. a\n1. b\n', ['a', 'b']),
        ('1: a\n2: b\n', ['1: a', '2: b']),
        ('0.5 l\n1.5 l\n', ['0.5 l', '1.5 l']),
        ('0: a\n1: a\n', ['0: a', '1: a']),
    ):
        file.write_text(text)
        assert read_class_names(file) == names


@pytest.mark.parametrize('names', ['classes.txt', 'obj.names'])
def test_without_data_yaml(tmp_path, names):
    """LabelImg: text files beside the images."""
    root = tmp_path / 'own'
    truth = make(root, root, range(3))
    (root / names).write_bytes('\ufeffcat\r\ndog\r\n\r\n'.encode())
    datasets, said = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], truth)
    assert 'label files have no image' not in said


@pytest.mark.parametrize(
    ('place', 'text'),
    [('labels/classes.txt', 'cat\ndog\n'), ('data.yaml', 'names: [cat, dog]\n')],
)
def test_folders_for_splits(tmp_path, place, text):
    root = tmp_path / 'own'
    train, val = make_splits(root, 3)
    (root / 'data.yaml').unlink()
    (root / place).write_text(text)
    datasets, _ = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], train)
    assert_equal(datasets['val'], val)


def test_darknet(tmp_path):
    root = tmp_path / 'own'
    truth = make(root / 'obj_train_data', root / 'obj_train_data', range(3))
    (root / 'obj.names').write_text('cat\ndog\n')
    (root / 'train.txt').write_text(''.join(f'data/obj_train_data/{i}.png\n' for i in range(2)))
    (root / 'valid.txt').write_text('data/obj_train_data/2.png\n')
    (root / 'obj.data').write_text(
        'classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n'
        'backup = backup/\n'
    )
    datasets, _ = convert_folder(read_yolo, root)
    val = {'2.png': truth.pop('2.png')}
    assert_equal(datasets['train'], truth)
    assert_equal(datasets['val'], val)


@pytest.mark.parametrize('suffix', ['.data', '.yaml'])
def test_splits_in_capital_letters(tmp_path, suffix):
    """As CVAT calls them."""
    root = tmp_path / 'own'
    train = make(root / 'obj_Train_data', root / 'obj_Train_data', range(2))
    val = make(root / 'obj_Val_data', root / 'obj_Val_data', range(5, 7))
    for split, truth in (('Train', train), ('Val', val)):
        folder = f'obj_{split}_data'
        (root / f'{split}.txt').write_text(''.join(f'data/{folder}/{name}\n' for name in truth))
    (root / 'obj.names').write_text('cat\ndog\n')
    lines = {'Train': 'data/Train.txt', 'Validation': 'data/Val.txt'}
    if suffix == '.data':
        lines |= {'classes': 2, 'names': 'data/obj.names'}
        text = ''.join(f'{key} = {value}\n' for key, value in lines.items())
    else:
        text = ''.join(f'{key}: {value}\n' for key, value in lines.items())
        text += 'Names: {0: cat, 1: dog}\n'
    (root / f'obj{suffix}').write_text(text)
    datasets, _ = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], train)
    assert_equal(datasets['val'], val)


REFUSED = {
    'nc: 3\nnames: [cat, dog]\ntrain: images/train': 'nc is 3, but names has 2',
    'names: {a: cat, 2: dog}\ntrain: images/train': "names is {'a': 'cat'",
    'names: {0: cat, 2: }\ntrain: images/train': 'class 1 of 2 has no name',
    'names: [cat, cat]\ntrain: images/train': 'names cat twice',
    'names: [cat, [dog]]\ntrain: images/train': "a name is ['dog']",
    'names: cat\ntrain: images/train': "names is 'cat'",
    'names: [cat, dog]\nval: images/val': 'has no train',
    'train: images/train\nval: images/val': 'names is None',
    'names: [cat, dog]\ntrain: images/train\nval: nowhere': 'val: nowhere was not found',
    'names: [cat, dog]\ntrain: labels/train\nval: images/val': 'labels/train holds no image',
    'names: [cat, dog]\ntrain: /x/images/train\nval: /y/images/train': 'are both',
    'names: [cat, dog]\ntrain: images/train\nkpt_shape: 17': "kpt_shape is '17'",
    'names: [cat, dog\ntrain: images/train': 'is not YAML',
}


@pytest.mark.parametrize('text', REFUSED)
def test_what_data_yaml_cannot_say(tmp_path, text):
    make_splits(tmp_path, 2)
    write_yaml(tmp_path, text)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(REFUSED[text])):
        read_yolo(tmp_path)


def test_nothing_names_the_classes(tmp_path):
    make_splits(tmp_path, 2)
    (tmp_path / 'data.yaml').unlink()
    with pytest.raises(ValueError, match=r'Write .*classes.txt with one name per line'):
        read_yolo(tmp_path)
    write_yaml(tmp_path)
    (tmp_path / 'other.yaml').write_text((tmp_path / 'data.yaml').read_text())
    with pytest.raises(ValueError, match=r'data.yaml, .*other.yaml. Pass the one to use'):
        read_yolo(tmp_path)


# ------------------------------------------------------------------ values


def test_equal_to_labelformat(tmp_path):
    """What Lightly's library writes and reads, in the layout that it knows."""
    from labelformat.formats import (
        COCOInstanceSegmentationInput,
        COCOObjectDetectionInput,
        YOLOv8InstanceSegmentationOutput,
        YOLOv8ObjectDetectionInput,
        YOLOv8ObjectDetectionOutput,
    )

    things = {
        f'{i}.png': draw(tmp_path / 'own/images' / f'{i}.png', seed=i, size=(96 + i, 64))
        for i in range(3)
    }
    coco = {'images': [], 'annotations': [], 'categories': [{'id': 0, 'name': 'cat'}]}
    coco['categories'].append({'id': 1, 'name': 'dog'})
    for i, (name, found) in enumerate(things.items()):
        coco['images'].append({'id': i, 'file_name': name, 'width': 96 + i, 'height': 64})
        for x1, y1, x2, y2 in (thing.box for thing in found):
            coco['annotations'].append(
                {
                    'image_id': i,
                    'category_id': NAMES.index(found[len(coco['annotations']) % 2].name),
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'iscrowd': 0,
                    'segmentation': [[x1, y1, x2, y1, x2, y2, x1, y2]],
                }
            )
    (tmp_path / 'truth.json').write_text(json.dumps(coco))
    yaml = tmp_path / 'own' / 'data.yaml'
    YOLOv8ObjectDetectionOutput(yaml, 'train').save(
        COCOObjectDetectionInput(tmp_path / 'truth.json')
    )
    datasets, _ = convert_folder(read_yolo, tmp_path / 'own')
    assert_equal(datasets['train'], things)
    ours = boxes_of(datasets['train'])
    for label in YOLOv8ObjectDetectionInput(yaml, 'train').get_labels():
        for theirs, (name, box, _) in zip(label.objects, ours[label.image.filename], strict=True):
            assert theirs.category.name == name
            assert box == pytest.approx(
                (theirs.box.xmin, theirs.box.ymin, theirs.box.xmax, theirs.box.ymax)
            )

    YOLOv8InstanceSegmentationOutput(yaml, 'train').save(
        COCOInstanceSegmentationInput(tmp_path / 'truth.json')
    )
    datasets, _ = convert_folder(read_yolo, tmp_path / 'own')
    assert_equal(datasets['train'], things)
    assert_masks_fit(tmp_path / 'own_coco.json', tmp_path / 'own/images', 6)


def assert_masks_fit(path, images, masks):
    """Compare pycocotools' masks with the colours in the images, pixel by pixel."""
    coco = COCO(str(path))
    for box in coco.anns.values():
        image = coco.imgs[box['image_id']]
        pixels = np.asarray(Image.open(images / image['file_name'])).astype(int)
        colour = COLOURS[coco.cats[box['category_id']]['name']]
        x, y, w, h = (round(value) for value in box['bbox'])
        painted = np.zeros(pixels.shape[:2], bool)
        painted[y : y + h, x : x + w] = True
        assert ((abs(pixels - colour) < 10).all(axis=-1) & painted == painted).all()
        np.testing.assert_array_equal(coco.annToMask(box).astype(bool), painted)
        assert box['area'] == painted.sum()
    assert len(coco.anns) == masks


def test_polygons_for_a_detector_of_masks(tmp_path):
    root = tmp_path / 'own'
    train, _ = make_splits(root, 2, to_row=polygon_row)
    cfg, _ = configure(root, config=MASKS)
    assert_equal(dataset_of(cfg), train)
    assert_masks_fit(
        cfg.train_dataloader.dataset.ann_file, Path(cfg.train_dataloader.dataset.data_prefix.img), 4
    )
    # a row with a box has no mask
    things = draw(root / 'images/train/0.png', seed=0)
    (root / 'labels/train/0.txt').write_text(row(things[0]) + '\n' + polygon_row(things[1]))
    with pytest.raises(ValueError, match='1 of 4 boxes have no "segmentation"'):
        configure(root, config=MASKS)
    assert_equal(dataset_of(configure(root)[0]), train)


def test_a_triangle(tmp_path):
    make_splits(tmp_path / 'own', 2)
    (tmp_path / 'own/labels/train/0.txt').write_text('1 0.25 0.25 0.75 0.25 0.5 0.75')
    datasets, _ = convert_folder(read_yolo, tmp_path / 'own')
    assert boxes_of(datasets['train'])['0.png'] == [('dog', (24, 16, 72, 48), 0)]
    (polygon,) = datasets['train'].get_data_info(0)['instances'][0]['mask']
    assert polygon == [24, 16, 72, 16, 48, 48]


def test_boxes_over_the_edge_are_clipped(tmp_path):
    make_splits(tmp_path / 'own', 2)
    (tmp_path / 'own/labels/train/0.txt').write_text('0 0.95 0.5 0.2 1.004')
    datasets, _ = convert_folder(read_yolo, tmp_path / 'own')
    ((_, box, _),) = boxes_of(datasets['train'])['0.png']
    assert box == pytest.approx((81.6, 0, 96, 64))


@pytest.mark.parametrize('turn', [1, 3, 6, 8])
def test_shares_are_of_the_picture_that_exif_turns(tmp_path, turn):
    root = tmp_path / 'own'
    make(root / 'images/train', root / 'labels/train', range(2), turn=turn)
    make(root / 'images/val', root / 'labels/val', [50], turn=turn)
    write_yaml(root)
    datasets, _ = convert_folder(read_yolo, root)
    assert_fits(datasets['train'], boxes=4)


def test_keypoints_are_left_out(tmp_path):
    root = tmp_path / 'own'
    truth, _ = make_splits(root, 2, to_row=lambda thing: row(thing) + ' 0.5 0.5 0.25 0.25')
    write_yaml(root, 'train: images/train\nval: images/val\nnames: [cat, dog]\nkpt_shape: [2, 2]\n')
    datasets, said = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], truth)
    assert 'the keypoints are left out' in said


# ------------------------------------------------------------------ what is not right


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_accents_that_are_stored_in_another_way(tmp_path, form):
    root = tmp_path / 'own'
    name = unicodedata.normalize(form, '\u00e9')
    other = unicodedata.normalize('NFD' if form == 'NFC' else 'NFC', name)
    truth = {f'{name}.png': draw(root / 'IMAGES' / f'{name}.png')}
    (root / 'LABELS').mkdir()
    (root / f'LABELS/{other}.txt').write_text('\n'.join(map(row, truth[f'{name}.png'])))
    (root / 'classes.txt').write_text('cat\ndog\n')
    datasets, said = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], truth)
    assert 'label file' not in said


def test_background(tmp_path):
    root = tmp_path / 'own'
    truth, _ = make_splits(root, 4)
    (root / 'labels/train/1.txt').write_text('')
    (root / 'labels/train/2.txt').unlink()
    cfg, said = configure(root)
    assert_equal(dataset_of(cfg), truth | {'1.png': [], '2.png': []})
    assert re.search(r'1 images have no label file, background \(.*train/2.png\)', said)


def test_what_tools_write_otherwise(tmp_path):
    """Capital letters, Windows' files, hidden files, empty lines, a class id as a fraction."""
    root = tmp_path / 'own'
    truth, _ = make_splits(root, 3, suffix='.PNG')
    labels = root / 'labels/train'
    text = (labels / '0.txt').read_text()
    (labels / '0.txt').write_bytes(
        b'\xef\xbb\xbf' + re.sub('^0 ', '0.0 ', text).replace('\n', '\r\n\r\n').encode()
    )
    (labels / '1.txt').rename(labels / '1.TXT')
    for name in ('labels/train/._2.txt', 'images/train/._2.PNG'):
        (root / name).write_bytes(b'\x00\x05\x16\x07')
    datasets, said = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], truth)
    assert 'label files have no image' not in said


def spoil(root, fault):
    labels = root / 'labels/train/3.txt'
    if fault == 'damaged':
        path = root / 'images/train/3.png'
        path.write_bytes(path.read_bytes()[:40])
    elif fault == 'no image':
        (root / 'images/train/3.png').unlink()
    elif fault == 'encoding':
        labels.write_bytes(b'\xff\xfe0 0.5')
    else:
        labels.write_text(labels.read_text() + ROWS[fault][0])


ROWS = {
    'too few': ('0 0.5 0.5 0.5', 'labels/train/3.txt: line 3 has 4 numbers'),
    'a confidence': ('0 0.5 0.5 0.5 0.5 0.9', 'line 3 has 6 numbers'),
    'even': ('0 0.1 0.1 0.2 0.2 0.3 0.3 0.4', 'line 3 has 8 numbers'),
    'pixels': ('0 48 32 20 20', 'line 3 has 48, but coordinates are shares'),
    'negative': ('0 -0.5 0.5 0.2 0.2', 'line 3 has -0.5'),
    'a size under 0': ('0 0.5 0.5 -0.005 0.2', 'a width or height under 0'),
    'nan': ('0 nan 0.5 0.2 0.2', 'not finite'),
    'a word': ('cat 0.5 0.5 0.2 0.2', "line 3 holds 'cat 0.5"),
    'commas': ('0,0.5,0.5,0.2,0.2', 'which is not numbers'),
}
FAULTS = {
    'damaged': 'image cannot be read: images/train/3.png',
    'no image': r'1 label files have no image and are left out \(.*train/3.txt\)',
    'encoding': 'is not in UTF-8',
} | {name: re.escape(text) for name, (_, text) in ROWS.items()}


@pytest.mark.parametrize('fault', FAULTS)
def test_one_image_that_cannot_be_used(tmp_path, fault):
    root = tmp_path / 'own'
    truth, _ = make_splits(root)
    spoil(root, fault)
    datasets, said = convert_folder(read_yolo, root)
    del truth['3.png']
    assert_equal(datasets['train'], truth)
    assert re.search(FAULTS[fault], said), said


def test_coordinates_in_pixels_are_refused(tmp_path):
    make_splits(tmp_path / 'own', to_row=lambda thing: f'0 {" ".join(map(str, thing.box))}')
    with pytest.raises(ValueError, match=r'12 of 12 images are left out.*shares of the image'):
        convert_folder(read_yolo, tmp_path / 'own')


def test_a_class_id_without_a_name_is_refused(tmp_path):
    make_splits(tmp_path / 'own')
    (tmp_path / 'own/labels/train/3.txt').write_text('2 0.5 0.5 0.2 0.2')
    with pytest.raises(ValueError, match=r'train/3.txt: line 1 has the class id 2.*0 to 1'):
        convert_folder(read_yolo, tmp_path / 'own')
    assert not list(tmp_path.glob('*.json'))


def test_a_row_that_repeats_another_one(tmp_path):
    root = tmp_path / 'own'
    truth, _ = make_splits(root, 3)
    labels = root / 'labels/train/1.txt'
    labels.write_text(labels.read_text() * 2)
    datasets, said = convert_folder(read_yolo, root)
    assert_equal(datasets['train'], truth)
    assert 'train: 2 labels are left out, each a row that repeats another one' in said


def test_no_label_file_at_all(tmp_path):
    make_splits(tmp_path / 'own', 2)
    (tmp_path / 'own/labels').rename(tmp_path / 'own/somewhere')
    with pytest.raises(ValueError, match=r'None of the 4 images.*labels/train/0.txt'):
        read_yolo(tmp_path / 'own')
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none/classes.txt').write_text('cat\n')
    with pytest.raises(ValueError, match='none has no images'):
        read_yolo(tmp_path / 'none')


def test_a_split_without_an_object(tmp_path):
    root = tmp_path / 'own'
    truth, val = make_splits(root, 3)
    draw(root / 'images/test/0.png')
    write_yaml(root, 'train: images/train\nval: images/val\ntest: images/test\nnames: [cat, dog]\n')
    datasets, said = convert_folder(read_yolo, root)
    assert set(datasets) == {'train', 'val'}
    assert 'test: none of its 1 images shows an object, so it is left out' in said
    for split, names in (('val', val), ('train', truth)):
        for name in names:
            (root / 'labels' / split / name).with_suffix('.txt').write_text('')
        with pytest.raises(ValueError, match=f'{split}: none of its {len(names)} images'):
            convert_folder(read_yolo, root)


def test_a_list_of_images_that_are_missing(tmp_path):
    root = tmp_path / 'own'
    make_splits(root)
    write_yaml(root, 'train: train.txt\nval: images/val\nnames: [cat, dog]\n')
    lines = [f'images/train/{i}.png' for i in range(12)]
    (root / 'train.txt').write_text('\n'.join([*lines, 'images/train/99.png']))
    datasets, said = convert_folder(read_yolo, root)
    assert len(datasets['train']) == 12
    assert 'lists 1 of 13 images that are missing, left out: images/train/99.png' in said
    (root / 'train.txt').write_text('\n'.join([*lines[:3], 'a.png', 'b.png']))
    with pytest.raises(ValueError, match='lists 2 of 5 images that are missing'):
        convert_folder(read_yolo, root)


def test_validation_on_the_training_images_is_told(tmp_path):
    root = tmp_path / 'own'
    make_splits(root, 3)
    write_yaml(root, 'train: images/train\nval: images/train\nnames: [cat, dog]\n')
    _, said = convert_folder(read_yolo, root)
    assert '3 of 3 images of the val split are also in the training split' in said


def test_another_order_of_the_classes_is_said(tmp_path):
    make_splits(tmp_path, 2)
    (tmp_path / 'classes.txt').write_text('dog\ncat\n')
    said = '\n'.join(read_yolo(tmp_path).notes)
    assert 'classes.txt has the same classes in another order: dog, cat' in said
    (tmp_path / 'classes.txt').write_text('cat\ndog\n')
    assert 'another order' not in '\n'.join(read_yolo(tmp_path).notes)


def test_names_with_gaps_are_listed(tmp_path):
    make_splits(tmp_path, 2)
    (tmp_path / 'data.yaml').write_text(
        'train: images/train\nval: images/val\nnames: {0: cat, 5: dog}\n'
    )
    with pytest.raises(ValueError, match=r'class id 1, but the names are for 0, 5\b'):
        convert_folder(read_yolo, tmp_path)
