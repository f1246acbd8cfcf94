"""Data files that would run code, write elsewhere, fill the memory, or end the process."""

import base64
import io
import itertools
import json

import pytest
from mmengine.config import Config
from PIL import Image

from tests.new_config import test_labelme as labelme
from tests.new_config import test_voc as voc
from tests.new_config import test_yolo as yolo
from tests.new_config.scenes import draw
from tests.new_config.test_correct_coco import make as make_coco
from tests.new_config.test_correct_coco import write as write_coco
from tnt_backbone.cli import new_config
from tnt_backbone.data_checks.coco_file import read_coco
from tnt_backbone.errors import InputError
from tnt_backbone.new_config.correct_coco import correct_coco
from tnt_backbone.new_config.labelled import UnusableError
from tnt_backbone.new_config.labelme import read_labelme
from tnt_backbone.new_config.labelme_shapes import read_shapes
from tnt_backbone.new_config.slices import slice_file
from tnt_backbone.new_config.voc import is_voc, read_voc
from tnt_backbone.new_config.yolo import read_yolo
from tnt_backbone.new_config.yolo_splits import resolve
from tnt_backbone.predict.labels import write_labels
from tnt_backbone.predict.pictures import find_pictures

CODE = "cat\nopen('mark', 'w')\n# '\"\\"


def test_a_class_name_is_no_code_of_the_config_that_is_written(tmp_path, monkeypatch):
    content = make_coco(tmp_path)
    content['categories'][0]['name'] = CODE
    write_coco(tmp_path / 'all.json', content)
    monkeypatch.chdir(tmp_path)
    new_config.main(
        ['mine.py', '--from', 'retinanet_tnt_s_coco', '--data', 'all.json', '--images', 'images']
    )
    cfg = Config.fromfile('mine.py')
    assert cfg.train_dataloader.dataset.metainfo.classes == (CODE, 'dog')
    assert not (tmp_path / 'mark').exists()


def test_slices_stay_below_their_folder(tmp_path):
    pytest.importorskip('sahi')
    content = make_coco(tmp_path, number=3)
    own = tmp_path / 'images'
    for image, name in zip(
        content['images'], [f'{own}/000.png', '../images/001.png', 'a/../002.png'], strict=True
    ):
        image['file_name'] = name
    (own / 'a').mkdir()
    before = set(tmp_path.rglob('*'))
    file = read_coco(write_coco(tmp_path / 'all.json', content))
    target = tmp_path / 'slices/all'
    written, _ = slice_file(file, own, target, 64)
    made = set(tmp_path.rglob('*')) - before - {tmp_path / 'all.json', tmp_path / 'slices'}
    assert all(path.is_relative_to(tmp_path / 'slices') for path in made)
    names = [image['file_name'] for image in read_coco(written).images.values()]
    assert len(set(names)) == len(names)
    assert all((target / name).is_file() for name in names)


@pytest.mark.parametrize(
    'url', ['http://host/../../../a.jpg', 'http:///etc/a.jpg', 'http://../a.jpg', 'https://..']
)
def test_an_address_cannot_choose_where_results_are_written(tmp_path, url):
    (picture,) = find_pictures([url])
    line = {'name': picture.name, 'height': 4, 'width': 4, 'predictions': []}
    folder = tmp_path / 'a/b/c'
    folder.mkdir(parents=True)
    write_labels('yolo', [line], ['cat'], folder)
    made = list(tmp_path.rglob('*.txt'))
    assert made
    assert all(path.is_relative_to(folder / 'labels_yolo') for path in made)


# ------------------------------------------------------------------ YOLO


@pytest.fixture
def in_yolo(tmp_path):
    root = tmp_path / 'own'
    yolo.make_splits(root, 2)
    return root


def aliases_without_end():
    """Return YAML of a kilobyte whose value, written out, has a gigabyte."""
    names = 'abcdefghij'
    lines = ['a: &a [x, x, x, x, x, x, x, x, x]']
    for before, name in itertools.pairwise(names):
        lines.append(f'{name}: &{name} [{", ".join([f"*{before}"] * 9)}]')
    return '\n'.join([*lines, 'names: *j', 'train: *j'])


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        ('names: [cat, dog]\nnc: ²', 'nc'),
        ('names: {"²": cat}', 'names'),
        ('names: {1: cat, 01: dog}', 'names'),
        ('nc: 1000000000', 'names'),  # names without end
        ('names: [cat, dog]\nkpt_shape: ["²", 3]', 'kpt_shape'),
        ('names: ' + '[' * 600 + ']' * 600, 'YAML'),
        (aliases_without_end(), r'data\.yaml: (a name|train) is'),
        ('names: [cat, dog]\ntrain: {a: 1}', 'train'),
        ('names: [cat, dog]\ntrain: ' + 'a' * 5000, 'train'),
        ('names: [cat, dog]\ntrain: /dev/zero', 'train'),
        ('names: [cat, dog]\ntrain: "a\\0b"', 'train'),
    ],
)  # fmt: skip
def test_a_description_in_yolos_format(in_yolo, text, named):
    (in_yolo / 'data.yaml').write_text(text)
    with pytest.raises((InputError, FileNotFoundError), match=named) as refused:
        read_yolo(in_yolo)
    assert len(str(refused.value)) < 20_000


def test_a_row_in_yolos_format(in_yolo):
    label = next(in_yolo.glob('labels/train/*.txt'))
    label.write_text('0 0.5 0.5 0.1 0_1')
    data = read_yolo(in_yolo)
    with pytest.raises(UnusableError, match='0_1'):
        data.read(label, label, (96, 64))


def test_a_device_is_no_list(tmp_path):
    assert resolve('/dev/zero', [tmp_path]) is None


# ------------------------------------------------------------------ Pascal VOC


def entities_without_end():
    """Return XML of a kilobyte that stands for a gigabyte."""
    names = 'bcdefghijk'
    lines = ['<!ENTITY b "bbbbbbbbbb">']
    for before, name in itertools.pairwise(names):
        lines.append(f'<!ENTITY {name} "{f"&{before};" * 10}">')
    entities = ''.join(lines)
    return f'<!DOCTYPE a [{entities}]><annotation><filename>&k;</filename></annotation>'


@pytest.mark.parametrize(
    'text',
    [
        "<?xml version='1.0' encoding='nowhere'?><annotation/>",
        entities_without_end(),
        '\0',
        '',
    ],
    ids=['encoding', 'entities without end', 'zero', 'empty'],
)  # fmt: skip
def test_an_xml_file_that_cannot_be_read(tmp_path, text):
    voc.make(tmp_path, range(3))
    broken = sorted(tmp_path.rglob('*.xml'))[0]
    broken.write_text(text)
    is_voc(broken)
    data = read_voc(tmp_path)
    with pytest.raises((UnusableError, KeyError)):
        data.read(broken, tmp_path, (96, 64))


@pytest.mark.parametrize('value', ['1e999', 'nan', '-5', 'x', ''])
def test_a_size_that_is_none_is_not_compared(tmp_path, value):
    voc.make(tmp_path, range(3))
    path = sorted(tmp_path.rglob('*.xml'))[0]
    path.write_text(path.read_text().replace('<width>96<', f'<width>{value}<'))
    data = read_voc(tmp_path)
    assert data.read(path, tmp_path, (96, 64)).size is None


def test_a_coordinate_below_0_does_not_say_from_where_is_counted(tmp_path):
    voc.make(tmp_path, range(3))
    paths = sorted(tmp_path.rglob('*.xml'))
    whole = read_voc(tmp_path).read(paths[1], tmp_path, (96, 64)).shapes
    text = paths[0].read_text()
    start = text.index('<xmin>')
    paths[0].write_text(f'{text[:start]}<xmin>-7{text[text.index("</xmin>", start) :]}')
    assert read_voc(tmp_path).read(paths[1], tmp_path, (96, 64)).shapes == whole


# ------------------------------------------------------------------ LabelMe


def mask_of(image):
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    'shape',
    [
        {'points': [[0, 0], [1, 0], [1, float('nan')]]},  # would end the process
        {'points': [[0, 0], [1e9, 0], [1, 1]]},  # would fill the memory
        {'points': [[0, 0], [10**400, 0], [1, 1]]},
        {'points': [[0, 0], [1e9, 0]], 'shape_type': 'circle'},
        {'points': [[0, 0], [1, 1]], 'shape_type': 'mask', 'mask': 'bm8gcGljdHVyZQ=='},
        {'points': [[0, 0], [1, 1]], 'shape_type': 'mask', 'mask': 7},
        {'points': [[0, 0], [1, 1]], 'shape_type': 'mask',
         'mask': mask_of(Image.new('1', (9000, 9000)))},
        {'points': [[-50, -50], [1, 1]], 'shape_type': 'mask',
         'mask': mask_of(Image.new('1', (9, 9), 1))},
        {'points': [[0, 0], [1, 1]], 'shape_type': ['mask']},
        {'points': None},
    ],
)  # fmt: skip
def test_a_shape_of_labelme(shape):
    content = {'shapes': [{'label': 'cat', **shape}], 'imageWidth': 96, 'imageHeight': 64}
    with pytest.raises(UnusableError, match='shape 1'):
        read_shapes(content, (96, 64))


@pytest.mark.parametrize('side', [float('inf'), float('nan'), 10**400, True, '96', 0.5])
def test_a_size_of_labelme_that_is_none(side):
    assert read_shapes({'shapes': [], 'imageWidth': side, 'imageHeight': 64}, (96, 64)).size is None


def test_a_mask_for_a_huge_picture_takes_no_memory():
    mask = mask_of(Image.new('1', (9, 9), 1))
    shape = {'label': 'cat', 'points': [[0, 0], [9, 9]], 'shape_type': 'mask', 'mask': mask}
    content = {'shapes': [shape], 'imageWidth': 10**6, 'imageHeight': 10**6}
    assert read_shapes(content, (96, 64)).size == (10**6, 10**6)  # which the caller refuses


def test_a_json_file_of_lists_in_lists_is_named(tmp_path):
    labelme.make(tmp_path, range(3))
    (tmp_path / 'deep.json').write_text('[' * 100_000)
    draw(tmp_path / 'deep.png')
    data = read_labelme(tmp_path, tmp_path / 'extracted')
    with pytest.raises(UnusableError, match='not JSON'):
        data.read(tmp_path / 'deep.json', tmp_path, (96, 64))


def test_image_path_cannot_choose_what_is_read(tmp_path):
    root = tmp_path / 'far/away/own'
    labelme.make(root, range(2))
    draw(tmp_path / 'secret.png')
    path = next(root.glob('*.json'))
    content = json.loads(path.read_text())
    for name in ('../../../secret.png', str(tmp_path / 'secret.png')):
        path.write_text(json.dumps({**content, 'imagePath': name}))
        with pytest.raises(InputError, match=r'imagePath.*secret\.png.*--data'):
            read_labelme(root, tmp_path / 'extracted')


# ------------------------------------------------------------------ COCO


@pytest.mark.parametrize(
    ('section', 'values', 'corrected'),
    [
        ('images', {'width': '96', 'height': '64.0'}, {'width': 96, 'height': 64}),
        ('annotations', {'iscrowd': '0', 'ignore': False}, {'iscrowd': 0, 'ignore': False}),
        ('annotations', {'iscrowd': None}, {'iscrowd': 0}),
        ('categories', {'name': 7}, {'name': '7'}),
    ],
)
def test_values_with_one_meaning_are_corrected(tmp_path, section, values, corrected):
    content = make_coco(tmp_path)
    content[section][0].update(values)
    path, changes = correct_coco(write_coco(tmp_path / 'all.json', content))
    entry = read_coco(path).content[section][0]
    assert {key: entry[key] for key in corrected} == corrected
    assert len(changes) == 1


@pytest.mark.parametrize(
    ('section', 'key'),
    [('images', 'id'), ('images', 'file_name'), ('annotations', 'category_id'),
     ('categories', 'name'), ('categories', 'supercategory')],
)  # fmt: skip
def test_names_that_are_lists_reach_the_reader(tmp_path, section, key):
    content = make_coco(tmp_path)
    content[section][0][key] = [1]
    path = write_coco(tmp_path / 'all.json', content)
    assert correct_coco(path) == (path, [])  # which the reader refuses, if it reads it
    if key != 'supercategory':
        with pytest.raises(InputError, match=key):
            read_coco(path)
