"""Formats whose files list many images: every box is the one that was drawn."""

import base64
import csv
import io
import json
import re
import unicodedata
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.new_config.scenes import assert_equal, assert_fits, boxes_of, convert_folder, draw
from tests.new_config.test_yolo import assert_masks_fit
from tnt_backbone.new_config.formats import recognise
from tnt_backbone.new_config.named_rows import VISDRONE
from tnt_backbone.new_config.own_data import READERS
from tnt_backbone.new_config.shapes import ellipse, rotate
from tnt_backbone.new_config.tables import read_tables

SIZE = (96, 64)


def corners(thing):
    x1, y1, x2, y2 = thing.box
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def write_table(path, header, rows):
    with path.open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([header, *rows] if header else rows)


# ------------------------------------------------------------------ a writer for each format


def createml(folder, truth):
    records = [
        {
            'image': name,
            'annotations': [
                {
                    'label': thing.name,
                    'coordinates': {
                        'x': (thing.box[0] + thing.box[2]) / 2,
                        'y': (thing.box[1] + thing.box[3]) / 2,
                        'width': thing.box[2] - thing.box[0],
                        'height': thing.box[3] - thing.box[1],
                    },
                }
                for thing in things
            ],
        }
        for name, things in truth.items()
    ]
    (folder / '_annotations.createml.json').write_text(json.dumps(records))


def hugging_face(folder, truth, key='category', names=None):
    records = [
        {
            'file_name': name,
            'objects': {
                'bbox': [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in (t.box for t in things)],
                key: [names.index(thing.name) if names else thing.name for thing in things],
            },
        }
        for name, things in truth.items()
    ]
    (folder / 'metadata.jsonl').write_text('\n'.join(map(json.dumps, records)))


def hugging_face_list(folder, truth):
    """Of a list of features: an object is a dict, and an image without one has an empty list."""
    hugging_face(folder, truth)
    file = folder / 'metadata.jsonl'
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records:
        objects = record['objects']
        pairs = zip(objects['bbox'], objects['category'], strict=True)
        record['objects'] = [{'bbox': box, 'category': name} for box, name in pairs]
    file.write_text('\n'.join(map(json.dumps, records)))


def hugging_face_numbers(folder, truth):
    names = ['dog', 'cat', 'fox']
    hugging_face(folder, truth, 'categories', names)
    listed = ''.join(f"            '{i}': {name}\n" for i, name in enumerate(names))
    (folder / 'README.md').write_text(
        '---\ndataset_info:\n  features:\n  - name: image\n  - name: objects\n    sequence:\n'
        f'    - name: categories\n      dtype:\n        class_label:\n          names:\n{listed}'
        '---\n# Pets\n'
    )


def cvat(folder, truth, shapes=None):
    def box(thing):
        keys = zip(('xtl', 'ytl', 'xbr', 'ybr'), thing.box, strict=True)
        text = ' '.join(f'{key}="{value}.00"' for key, value in keys)
        return f'<box label="{thing.name}" source="manual" occluded="0" {text} z_order="0"></box>'

    labels = ''.join(f'<label><name>{name}</name></label>' for name in ('dog', 'cat', 'fox'))
    images = ''.join(
        f'<image id="{i}" name="{name}" width="{SIZE[0]}" height="{SIZE[1]}">'
        f'{"".join(map(shapes or box, things))}</image>'
        for i, (name, things) in enumerate(truth.items())
    )
    (folder / 'annotations.xml').write_text(
        f'<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>'
        f'{images}</annotations>'
    )


def via_regions(truth, *, as_dict=False, attribute='class'):
    content = {}
    for name, things in truth.items():
        regions = []
        for i, thing in enumerate(things):
            x1, y1, x2, y2 = thing.box
            shape = {'name': 'rect', 'x': x1, 'y': y1, 'width': x2 - x1, 'height': y2 - y1}
            if i % 2:
                xs, ys = zip(*corners(thing), strict=True)
                shape = {'name': 'polygon', 'all_points_x': xs, 'all_points_y': ys}
            marked = {attribute: thing.name} if attribute else {}
            regions.append({'shape_attributes': shape, 'region_attributes': marked})
        listed = {str(i): region for i, region in enumerate(regions)} if as_dict else regions
        content[f'{name}123'] = {'filename': name, 'size': 123, 'regions': listed}
    return content


def via(folder, truth):
    content = {'_via_settings': {}, '_via_img_metadata': via_regions(truth), '_via_attributes': {}}
    (folder / 'via_project.json').write_text(json.dumps(content))


def via_numbers(folder, truth):
    """A dropdown stores numbers, and the project names them."""
    names = ['dog', 'cat', 'fox']
    images = via_regions(truth)
    for image in images.values():
        for region in image['regions']:
            name = region['region_attributes'].pop('class')
            region['region_attributes']['kind'] = str(names.index(name))
    options = {str(i): name for i, name in enumerate(names)}
    attributes = {'region': {'kind': {'type': 'dropdown', 'options': options}}, 'file': {}}
    content = {'_via_img_metadata': images, '_via_attributes': attributes}
    (folder / 'via_project.json').write_text(json.dumps(content))


def via_1(folder, truth):
    content = via_regions(truth, as_dict=True)
    (folder / 'via_region_data.json').write_text(json.dumps(content))


def via_table(folder, truth):
    rows = [
        [image['filename'], 123, '{}', len(image['regions']), i]
        + [json.dumps(region[key]) for key in ('shape_attributes', 'region_attributes')]
        for image in via_regions(truth).values()
        for i, region in enumerate(image['regions'])
    ]
    header = ['filename', 'file_size', 'file_attributes', 'region_count', 'region_id']
    header += ['region_shape_attributes', 'region_attributes']
    write_table(folder / 'via_export_csv.csv', header, rows)


def rows_of(truth):
    return [(name, *thing.box, thing.name) for name, things in truth.items() for thing in things]


def tensorflow(folder, truth):
    rows = [(row[0], *SIZE, row[5], *row[1:5]) for row in rows_of(truth)]
    header = ['filename', 'width', 'height', 'class', 'xmin', 'ymin', 'xmax', 'ymax']
    write_table(folder / '_annotations.csv', header, rows)


def retinanet(folder, truth):
    empty = [(name, '', '', '', '', '') for name, things in truth.items() if not things]
    rows = [(f'/home/me/x/{row[0]}', *row[1:]) for row in [*rows_of(truth), *empty]]
    write_table(folder / '_annotations.csv', None, rows)
    write_table(folder / '_classes.csv', None, [('dog', 0), ('cat', 1), ('fox', 2)])


def open_images(folder, truth):
    w, h = SIZE
    header = ['ImageID', 'Source', 'LabelName', 'Confidence', 'XMin', 'XMax', 'YMin', 'YMax']
    rows = [
        (image[:-4], 'xclick', f'/m/{label}', 1, x1 / w, x2 / w, y1 / h, y2 / h)
        for image, x1, y1, x2, y2, label in rows_of(truth)
    ]
    write_table(folder / 'train-annotations-bbox.csv', header, rows)
    names = [(f'/m/{name}', name) for name in ('cat', 'dog')]
    write_table(folder / 'class-descriptions-boxable.csv', None, names)


def sku(folder, truth):
    rows = [(*row[:5], row[5], *SIZE) for row in rows_of(truth)]
    write_table(folder / 'annotations_train.csv', None, rows)


def gtsdb(folder, truth):
    rows = [';'.join(map(str, row)) for row in rows_of(truth)]
    (folder / 'gt.txt').write_text('\n'.join(rows))


def fiftyone(folder, truth):
    open_images(folder, truth)
    (folder / 'labels').mkdir()
    (folder / 'train-annotations-bbox.csv').rename(folder / 'labels' / 'detections.csv')
    (folder / 'class-descriptions-boxable.csv').rename(folder / 'classes.csv')


def numbers(folder, truth):
    """Numbers of classes, and a table with their names."""
    ids = {'dog': 7, 'cat': 12}
    rows = [(*row[:5], ids[row[5]]) for row in rows_of(truth)]
    write_table(folder / 'labels.csv', ['image', 'x1', 'y1', 'x2', 'y2', 'class_id'], rows)
    write_table(folder / 'classes.csv', ['id', 'name'], [(n, name) for name, n in ids.items()])


def semicolons(folder, truth):
    header = 'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId'
    rows = [';'.join(map(str, (row[0], *SIZE, *row[1:]))) for row in rows_of(truth)]
    (folder / 'GT-00000.csv').write_text('\ufeff' + '\r\n'.join([header, *rows]))


def excel(folder, truth):
    """As ``numbers``, both tables with semicolons and Excel's first line."""
    numbers(folder, truth)
    for file in ('labels.csv', 'classes.csv'):
        text = (folder / file).read_text().replace(',', ';')
        (folder / file).write_text(f'sep=;\n{text}')


def makesense(folder, truth):
    header = ['label_name', 'bbox_x', 'bbox_y', 'bbox_width', 'bbox_height', 'image_name']
    rows = [
        (label, x1, y1, x2 - x1, y2 - y1, image, *SIZE)
        for image, x1, y1, x2, y2, label in rows_of(truth)
    ]
    write_table(folder / 'labels.csv', [*header, 'image_width', 'image_height'], rows)


def supervisely(folder, truth):
    classes = [{'title': name, 'shape': 'rectangle'} for name in ('dog', 'cat', 'fox')]
    classes.append({'title': 'where', 'shape': 'point'})
    (folder / 'meta.json').write_text(json.dumps({'classes': classes, 'tags': []}))
    (folder / 'ds/ann').mkdir(parents=True)
    (folder / 'ds/img').mkdir()
    for name, things in truth.items():
        (folder / name).rename(folder / 'ds/img' / name)
        objects = []
        for thing in things:
            x1, y1, x2, y2 = thing.box
            points = {'exterior': [[x1, y1], [x2 - 1, y2 - 1]], 'interior': []}
            shape = {'classTitle': thing.name, 'geometryType': 'rectangle', 'points': points}
            objects.append(shape)
        content = {'size': {'width': SIZE[0], 'height': SIZE[1]}, 'objects': objects, 'tags': []}
        (folder / 'ds/ann' / f'{name}.json').write_text(json.dumps(content))


def kitti(folder, truth):
    _texts(folder, truth, 'image_2', 'label_2', '', lambda thing: (
        f'{thing.name} 0.00 0 -1.57 {" ".join(f"{v:.2f}" for v in thing.box)} '
        '1.6 1.5 3.2 1.0 1.7 13.2 -1.6'
    ))  # fmt: skip


def dota(folder, truth):
    _texts(folder, truth, 'images', 'labelTxt', 'gsd:0.1\n', lambda thing: (
        ' '.join(f'{float(v)}' for point in corners(thing) for v in point) + f' {thing.name} 0'
    ))  # fmt: skip


def labelme_xml(folder, truth, kind=''):
    """Of LabelMe's web tool; with the type of CVAT's boxes if ``kind`` is one."""
    (folder / 'Images/users/me').mkdir(parents=True)
    (folder / 'Annotations/users/me').mkdir(parents=True)
    for name, things in truth.items():
        (folder / name).rename(folder / 'Images/users/me' / name)
        objects = ''.join(
            f'<object><name>\n{thing.name}\n</name><deleted>{deleted}</deleted>{kind}<polygon>'
            + ''.join(f'<pt><x>{x}</x><y>{y}</y></pt>' for x, y in corners(thing))
            + '</polygon></object>'
            for thing in things
            for deleted in (1, 0)
        )
        (folder / 'Annotations/users/me' / f'{name[:-4]}.xml').write_text(
            f'<annotation><filename>{name}</filename><folder>users/me</folder>{objects}'
            f'<imagesize><nrows>{SIZE[1]}</nrows><ncols>{SIZE[0]}</ncols></imagesize></annotation>'
        )


def labelme_xml_of_cvat(folder, truth):
    labelme_xml(folder, truth, '<type>bounding_box</type>')


def _texts(folder, truth, images, labels, head, to_row):
    (folder / images).mkdir()
    (folder / labels).mkdir()
    for name, things in truth.items():
        (folder / name).rename(folder / images / name)
        text = head + ''.join(f'{to_row(thing)}\n' for thing in things)
        (folder / labels / f'{name[:-4]}.txt').write_text(text)


# the reader, the order of the classes, and whether an image without an object is kept
WRITERS = {
    'createml': (createml, ('cat', 'dog'), True),
    'cvat': (cvat, ('dog', 'cat', 'fox'), True),
    'huggingface': (hugging_face, ('cat', 'dog'), True),
    'huggingface list': (hugging_face_list, ('cat', 'dog'), True),
    'huggingface numbers': (hugging_face_numbers, ('dog', 'cat', 'fox'), True),
    'via': (via, ('cat', 'dog'), True),
    'via numbers': (via_numbers, ('dog', 'cat', 'fox'), True),
    'via 1': (via_1, ('cat', 'dog'), True),
    'via table': (via_table, ('cat', 'dog'), False),
    'csv tensorflow': (tensorflow, ('cat', 'dog'), False),
    'csv retinanet': (retinanet, ('dog', 'cat', 'fox'), True),
    'csv open images': (open_images, ('cat', 'dog'), False),
    'csv sku': (sku, ('cat', 'dog'), False),
    'csv gtsdb': (gtsdb, ('cat', 'dog'), False),
    'csv fiftyone': (fiftyone, ('cat', 'dog'), False),
    'csv numbers': (numbers, ('dog', 'cat'), False),
    'csv semicolons': (semicolons, ('cat', 'dog'), False),
    'csv excel': (excel, ('dog', 'cat'), False),
    'csv makesense': (makesense, ('cat', 'dog'), False),
    'supervisely': (supervisely, ('dog', 'cat', 'fox'), True),
    'kitti': (kitti, ('cat', 'dog'), True),
    'dota': (dota, ('cat', 'dog'), True),
    'labelme_xml': (labelme_xml, ('cat', 'dog'), True),
    'labelme_xml cvat': (labelme_xml_of_cvat, ('cat', 'dog'), True),
}


def make(root, kind, numbers=range(3)):
    """Write images and their annotations; return the rectangles of each."""
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in numbers}
    truth['empty.png'] = draw(root / 'empty.png', number=0)
    WRITERS[kind][0](root, truth)
    return truth


def read(kind, root):
    return convert_folder(READERS[kind.split()[0]], root)


@pytest.mark.parametrize('kind', WRITERS)
def test_every_box_is_the_one_that_was_drawn(tmp_path, kind):
    truth = make(tmp_path / 'own', kind)
    _, classes, keeps_empty = WRITERS[kind]
    if not keeps_empty:
        del truth['empty.png']
    datasets, said = read(kind, tmp_path / 'own')
    assert datasets['train'].metainfo['classes'] == classes
    assert_equal(datasets['train'], truth)
    assert_fits(datasets['train'], boxes=6)
    assert ('1 images have no label file, left out' in said) is not keeps_empty


KEEPS_EMPTY = ('createml', 'huggingface')


@pytest.mark.parametrize('kind', [*KEEPS_EMPTY, 'csv tensorflow', 'csv retinanet', 'via 1'])
def test_a_file_for_each_split(tmp_path, kind):
    """As Roboflow and Matterport do: names of images occur in each."""
    root = tmp_path / 'own'
    train = make(root / 'train', kind)
    val = make(root / 'valid', kind, range(7, 9))
    datasets, _ = read(kind, root)
    for split, truth in (('train', train), ('val', val)):
        truth = {name: things for name, things in truth.items() if things or kind in KEEPS_EMPTY}
        assert {n: b for n, b in boxes_of(datasets[split]).items() if b}.keys() == {
            name for name, things in truth.items() if things
        }
        assert_fits(datasets[split], boxes=sum(map(len, truth.values())))


def test_names_of_tables_and_a_column_tell_the_splits(tmp_path):
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / 'images' / f'{i}.png', seed=i) for i in range(4)}
    parts = {'train': dict(list(truth.items())[:3]), 'val': {'3.png': truth['3.png']}}
    for split, part in parts.items():
        write_table(root / f'{split}.csv', None, rows_of(part))
    datasets, _ = read('csv', root)
    for split, part in parts.items():
        assert_equal(datasets[split], part)
    for split in parts:
        (root / f'{split}.csv').unlink()
    header = ['image', 'x1', 'y1', 'x2', 'y2', 'label', 'split']
    rows = [(*row, split) for split, part in parts.items() for row in rows_of(part)]
    write_table(root / 'test_run.csv', header, rows)
    datasets, _ = read('csv', root)
    for split, part in parts.items():
        assert_equal(datasets[split], part)
    write_table(
        root / 'test_run.csv', header, [*rows[:-2], *((*row[:-1], '') for row in rows[-2:])]
    )
    with pytest.raises(
        ValueError, match=r'name the splits train, and there are 1 images of no split'
    ):
        read('csv', root)


@pytest.mark.parametrize(
    ('column', 'values'),
    [('difficult', '01'), ('IsGroupOf', '01'), ('is_difficult', ('False', 'True'))],
)
def test_a_column_says_which_objects_are_ignored(tmp_path, column, values):
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(3)}
    header = ['filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class', 'isCrowd', column]
    rows = [(*row, 0, values[i % 2]) for i, row in enumerate(rows_of(truth))]
    write_table(root / 'labels.csv', header, rows)
    datasets, _ = read('csv', root)
    boxes = boxes_of(datasets['train'])
    assert [
        (name, *box, kind, ignored) for name in truth for kind, box, ignored in boxes[name]
    ] == [(*row, i % 2) for i, row in enumerate(rows_of(truth))]
    write_table(root / 'labels.csv', header, [(*row[:-1], values[1]) for row in rows])
    with pytest.raises(ValueError, match=r'all 6 objects in its 3 images .*difficult'):
        read('csv', root)


def test_numbers_of_classes_that_pandas_wrote_with_a_point(tmp_path):
    """1.0 is class 1 of the list."""
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(3)}
    ids = {'cat': '0.0', 'dog': '1.0'}
    header = ['filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class']
    write_table(root / 'labels.csv', header, [(*row[:5], ids[row[5]]) for row in rows_of(truth)])
    write_table(root / 'classes.csv', None, [('cat', 0), ('dog', 1)])
    datasets, _ = read('csv', root)
    assert_equal(datasets['train'], truth)


def test_rows_that_repeat_another_one_are_left_out(tmp_path):
    """They were refused, by the name of a file that the user does not know."""
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(3)}
    header = ['filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class']
    rows = rows_of(truth)
    write_table(root / 'labels.csv', header, [*rows, rows[0], rows[0], rows[3]])
    datasets, said = read('csv', root)
    assert_equal(datasets['train'], truth)
    assert '3 labels are left out, each a label that repeats another one' in said


CARDS = {
    'label_map.json': json.dumps({'0': 'dog', '1': 'cat', '2': 'fox'}),
    'classes.txt': 'dog\ncat\nfox\n',
    'names.csv': '0,dog\n1,cat\n2,fox\n',
}


@pytest.mark.parametrize('kind', ['csv', 'createml', 'huggingface'])
@pytest.mark.parametrize('file', CARDS)
def test_numbers_of_classes_get_their_names(tmp_path, kind, file):
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(3)}
    truth['3.png'] = draw(root / '3.png', seed=3, names=('fox',), number=0)
    ids = {'dog': '0', 'cat': '1'}
    numbered = {n: [t._replace(name=ids[t.name]) for t in things] for n, things in truth.items()}
    box = numbered['0.png'][0]._replace(name='2', box=(1, 1, 5, 5))
    numbered['0.png'].append(box)  # the last class
    {'csv': tensorflow, 'createml': createml, 'huggingface': hugging_face}[kind](root, numbered)
    (root / file).write_text(CARDS[file])
    datasets, said = read(kind, root)
    assert datasets['train'].metainfo['classes'] == ('dog', 'cat', 'fox')
    boxes = boxes_of(datasets['train'])
    assert boxes['0.png'].pop()[0] == 'fox'
    for name, things in truth.items():
        found = [(kind, tuple(map(round, box))) for kind, box, _ in boxes.get(name, ())]
        assert found == [(thing.name, thing.box) for thing in things]
    assert 'the names of the classes are those of' in said


def test_a_column_of_names_beside_one_of_numbers(tmp_path):
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(3)}
    header = ['filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class', 'class_name']
    ids = {'dog': 7, 'cat': 12}
    rows = [(*row[:5], ids[row[5]], row[5]) for row in rows_of(truth)]
    write_table(root / 'labels.csv', header, rows)
    datasets, _ = read('csv', root)
    assert_equal(datasets['train'], truth)
    write_table(root / 'labels.csv', header, [(*row[:6], f'{i}th') for i, row in enumerate(rows)])
    datasets, _ = read('csv', root)
    assert datasets['train'].metainfo['classes'] == ('12', '7')


@pytest.mark.parametrize('column', ['split', 'Usage'])
def test_a_split_of_another_name_is_refused(tmp_path, column):
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(3)}
    header = ['filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class', column]
    rows = [(*row, 'dev' if row[0] == '0.png' else 'holdout') for row in rows_of(truth)]
    write_table(root / 'labels.csv', header, rows)
    with pytest.raises(ValueError, match=r"labels\.csv has a row of the split 'dev'.*train, val"):
        read('csv', root)


@pytest.mark.parametrize(
    'columns', [{'is_valid': 'val', 'is_test': 'test'}, {'train': 'train', 'val': 'val'}], ids=str
)
def test_columns_of_yes_and_no_tell_the_splits_of_boxes(tmp_path, columns):
    root = tmp_path / 'own'
    truth = {f'{i}.png': draw(root / f'{i}.png', seed=i) for i in range(6)}
    names = list(truth)
    parts = {'train': names[:3], 'val': names[3:5], 'test': names[5:]}
    rows = [
        (*row, *(int(row[0] in parts[split]) for split in columns.values()))
        for row in rows_of(truth)
    ]
    header = ['filename', 'xmin', 'ymin', 'xmax', 'ymax', 'class', *columns]
    write_table(root / 'labels.csv', header, rows)
    datasets, _ = read('csv', root)
    for split, part in parts.items():
        assert_equal(datasets[split], {name: truth[name] for name in part})


@pytest.mark.parametrize('kind', ['csv tensorflow', 'createml', 'cvat', 'kitti'])
def test_accents_that_are_stored_in_another_way(tmp_path, kind):
    """On macOS, they are characters of their own, and in files of annotations they are not."""
    root = tmp_path / 'own'
    truth = {f'\u00e9{i}.png': draw(root / f'\u00e9{i}.png', seed=i) for i in range(3)}
    WRITERS[kind][0](root, truth)
    for path in list(root.rglob('*.png')):
        path.rename(path.with_name(unicodedata.normalize('NFD', path.name)))
    datasets, _ = read(kind, root)
    truth = {unicodedata.normalize('NFD', name): things for name, things in truth.items()}
    assert_equal(datasets['train'], truth)


def test_corners_of_hugging_face_are_told_by_their_areas(tmp_path):
    root = tmp_path / 'own'
    draw(root / '0.png')
    for box in ([5, 4, 20, 16], [5, 4, 15, 12]):
        objects = {'bbox': [box], 'area': [180], 'category': ['cat']}
        record = {'file_name': '0.png', 'objects': objects}
        (root / 'metadata.jsonl').write_text(json.dumps(record))
        if box[2] == 20:
            with pytest.raises(ValueError, match=r'areas of 1 of 1 boxes.*x1, y1, x2, y2'):
                read('huggingface', root)
    datasets, _ = read('huggingface', root)
    assert boxes_of(datasets['train'])['0.png'] == [('cat', (5, 4, 20, 16), 0)]


def test_visdrone(tmp_path):
    """Numbers of classes from 1; regions of no class are left out."""
    root = tmp_path / 'own'
    truth = {}
    for split, number in (('train', 1), ('val', 2)):
        folder = root / f'VisDrone2019-DET-{split}'
        truth[split] = draw(folder / 'images' / '1.png', seed=number)
        rows = ['0,0,9,9,0,0,0,0', '0,0,9,9,1,11,0,0,']
        for thing in truth[split]:
            x1, y1, x2, y2 = thing.box
            kind = ('cat', 'dog').index(thing.name) + 1
            rows.append(f'{x1},{y1},{x2 - x1},{y2 - y1},1,{kind},0,1')
        (folder / 'annotations').mkdir()
        (folder / 'annotations' / '1.txt').write_text('\r\n'.join(rows))
    assert recognise(root) == 'visdrone'
    datasets, said = read('visdrone', root)
    assert '2 labels are left out, each a region or object of no class' in said
    names = {'cat': 'pedestrian', 'dog': 'people'}
    for split, things in truth.items():
        assert datasets[split].metainfo['classes'] == VISDRONE
        found = boxes_of(datasets[split])['1.png']
        assert found == [(names[thing.name], thing.box, 0) for thing in things]


@pytest.mark.parametrize('kind', ['supervisely', 'kitti', 'dota'])
def test_names_of_pictures_are_no_splits(tmp_path, kind):
    """A picture of a train, and folders that are named after splits."""
    root = tmp_path / 'own'
    for split, names in (('my-train', ('train_1', 'test_2')), ('my-val', ('val_1', 'train_2'))):
        truth = {f'{name}.png': draw(root / split / f'{name}.png', seed=7) for name in names}
        WRITERS[kind][0](root / split, truth)
    datasets, _ = read(kind, root)
    assert set(boxes_of(datasets['train'])) == {'train_1.png', 'test_2.png'}
    assert set(boxes_of(datasets['val'])) == {'val_1.png', 'train_2.png'}


def test_label_files_and_images_without_a_partner(tmp_path):
    make(tmp_path / 'own', 'kitti', range(4))
    (tmp_path / 'own/image_2/3.png').unlink()
    (tmp_path / 'own/label_2/2.txt').unlink()
    datasets, said = read('kitti', tmp_path / 'own')
    assert set(boxes_of(datasets['train'])) == {'0.png', '1.png', 'empty.png'}
    assert '1 label files have no image' in said
    assert '1 images have no label file, left out' in said


def test_shapes_of_cvat(tmp_path):
    """A turned box, a polygon, a mask, and what has no area."""
    truth = {f'{i}.png': draw(tmp_path / 'own' / f'{i}.png', seed=i) for i in range(2)}

    def shape(thing):
        x1, y1, x2, y2 = thing.box
        w, h = x2 - x1, y2 - y1
        if thing.name == 'cat':  # the rectangle of h x w, turned by 90 degrees
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            return (
                f'<box label="cat" xtl="{x - h / 2}" ytl="{y - w / 2}" xbr="{x + h / 2}" '
                f'ybr="{y + w / 2}" rotation="90.00"/>'
            )
        runs = [2 * (w + 2)] + [2 if i % 2 else w for i in range(2 * h - 1)] + [2 * (w + 2)]
        runs[0] += 1
        runs[-1] += 1
        return (
            f'<mask label="dog" rle="{", ".join(map(str, runs))}" left="{x1 - 1}" top="{y1 - 2}" '
            f'width="{w + 2}" height="{h + 4}"/><points label="dog" points="1,2"/>'
        )

    cvat(tmp_path / 'own', truth, shape)
    datasets, said = read('cvat', tmp_path / 'own')
    assert_equal(datasets['train'], truth)
    assert_masks_fit(tmp_path / 'own_coco.json', tmp_path / 'own', 4)
    assert '2 labels are left out, each a shape of type points' in said


def test_outlines_of_labelme_xml(tmp_path):
    root = tmp_path / 'own'
    make(root, 'labelme_xml', range(2))
    file = root / 'Annotations/users/me/0.xml'
    mask = '<object><name>cat</name><segm><mask>0_mask_0.png</mask></segm></object>'
    point = '<object><name>cat</name><polygon><pt><x>1</x><y>2</y></pt></polygon></object>'
    file.write_text(file.read_text().replace('<imagesize>', f'{mask}{point}<imagesize>'))
    _, said = read('labelme_xml', root)
    assert_masks_fit(tmp_path / 'own_coco.json', root / 'Images/users/me', 4)
    assert '1 labels are left out, each a mask in another file' in said
    assert '1 labels are left out, each a point or line' in said


def test_equal_to_labelformat(tmp_path):
    """What Lightly's library writes as CVAT's XML."""
    from labelformat.formats import COCOObjectDetectionInput, CVATObjectDetectionOutput

    truth = make(tmp_path / 'own', 'cvat')
    convert_folder(READERS['cvat'], tmp_path / 'own')
    (tmp_path / 'own/annotations.xml').unlink()
    theirs = COCOObjectDetectionInput(tmp_path / 'own_coco.json')
    CVATObjectDetectionOutput(tmp_path / 'own', 'project').save(theirs)
    datasets, _ = convert_folder(READERS['cvat'], tmp_path / 'own')
    assert_equal(datasets['train'], truth)


def test_tags_of_supervisely_name_the_splits(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, 'supervisely', range(4))
    files = sorted((root / 'ds/ann').iterdir())
    for file, tag in zip(files, ('train', 'train', 'train', 'val', 'train'), strict=True):
        content = json.loads(file.read_text())
        content['tags'] = [{'name': 'night', 'value': None}, {'name': tag, 'value': None}]
        file.write_text(json.dumps(content))
    datasets, _ = read('supervisely', root)
    assert_equal(datasets['val'], {'3.png': truth.pop('3.png')})
    assert_equal(datasets['train'], truth)
    for file in files[:2]:  # a picture of a train
        file.write_text(file.read_text().replace('"train"', '"bus"'))
    datasets, _ = read('supervisely', root)
    assert set(datasets) == {'train'}


def test_masks_of_supervisely(tmp_path):
    """A PNG in a text, as its SDK packs it; a polygon with a hole."""
    root = tmp_path / 'own'
    truth = make(root, 'supervisely', range(2))
    for name, things in truth.items():
        path = root / 'ds/ann' / f'{name}.json'
        content = json.loads(path.read_text())
        for entry, thing in zip(content['objects'], things, strict=True):
            x1, y1, x2, y2 = thing.box
            image = Image.fromarray(np.full((y2 - y1, x2 - x1), 1, np.uint8))
            image.putpalette([0, 0, 0, 255, 255, 255])
            image.save(packed := io.BytesIO(), 'PNG', transparency=0)
            data = base64.b64encode(zlib.compress(packed.getvalue())).decode()
            entry.update(geometryType='bitmap', bitmap={'data': data, 'origin': [x1, y1]})
        path.write_text(json.dumps(content))
    datasets, _ = read('supervisely', root)
    assert_equal(datasets['train'], truth)
    assert_masks_fit(tmp_path / 'own_coco.json', root / 'ds/img', 4)


@pytest.mark.parametrize('attributes', ['none', 'one', 'two', 'class'])
def test_which_attribute_is_the_class(tmp_path, attributes):
    truth = make(tmp_path / 'own', 'via')
    regions = via_regions(truth, attribute=None if attributes == 'none' else 'animal')
    for entry in (region for image in regions.values() for region in image['regions']):
        if attributes == 'class':
            entry['region_attributes'] = {'class': {entry['region_attributes']['animal']: True}}
        if attributes in ('two', 'class'):
            entry['region_attributes']['quality'] = 'good'
    (tmp_path / 'own/via_project.json').write_text(json.dumps(regions))
    if attributes == 'two':
        with pytest.raises(ValueError, match=r'attributes animal, quality.*the class is not clear'):
            read('via', tmp_path / 'own')
        return
    datasets, said = read('via', tmp_path / 'own')
    if attributes == 'none':
        assert datasets['train'].metainfo['classes'] == ('object',)
        assert "all are of one class, 'object'" in said
    else:
        assert_equal(datasets['train'], truth)


WRONG = {
    'createml': ('"x": ', '"y": ', 'no label, or no x, y'),
    'huggingface': ('"1.png"', '"1.png', 'line 2: no JSON'),
    'huggingface numbers': ('"categories": [', '"categories": [0, ', 'and not as many classes'),
    'cvat': ('xtl="', 'xtl="9', 'a maximum under its minimum'),
    'via': ('"rect"', '"spiral"', "a region of type 'spiral'"),
    'csv tensorflow': ('.png,96', '.png,95', 'it says 95x64'),
    'csv retinanet': (',cat', ',', 'no four numbers or no class'),
    'supervisely': ('"exterior"', '"outer"', 'not as Supervisely writes it'),
    'kitti': ('dog 0.00 0', 'dog 0.00', 'a row of another format'),
    'dota': ('.0 dog', '9999999.0 dog', 'is not near the image'),
}


@pytest.mark.parametrize('kind', WRONG)
def test_a_wrong_object_is_named(tmp_path, kind):
    make(tmp_path / 'own', kind)
    old, new, text = WRONG[kind]
    endings = ('.json', '.jsonl', '.xml', '.csv', '.txt')
    paths = [
        p for p in (tmp_path / 'own').rglob('*') if p.suffix in endings and old in p.read_text()
    ]
    for path in paths:
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=re.escape(text)):
        read(kind, tmp_path / 'own')


def test_hugging_face_with_numbers_that_have_no_names(tmp_path):
    root = tmp_path / 'own'
    truth = {'0.png': draw(root / '0.png', seed=1)}
    hugging_face(root, truth, names=[*map(str, range(10)), 'cat', 'dog'])
    for name, other in (('log', '{"loss": 1}\n{'), ('damaged', 'epoch 1'), ('empty', '')):
        (root / f'{name}.jsonl').write_text(other)
    assert recognise(root) == 'huggingface'
    datasets, _ = read('huggingface', root)
    assert datasets['train'].metainfo['classes'] == ('10', '11')  # in the order of the numbers
    text = (root / 'metadata.jsonl').read_text().replace('11', '9')
    (root / 'metadata.jsonl').write_text(text)
    datasets, _ = read('huggingface', root)
    assert datasets['train'].metainfo['classes'] == ('9', '10')


def test_images_are_found_by_the_ends_of_their_paths(tmp_path):
    root = tmp_path / 'own'
    first = draw(root / 'a/x.png', seed=1)
    second = draw(root / 'b/x.png', seed=2)
    rows = [('C:\\data\\a\\x.png', *thing.box, thing.name) for thing in first]
    rows += [('./b/x.png', *thing.box, thing.name) for thing in second]
    write_table(root / 'all.csv', None, rows)
    datasets, _ = read('csv', root)
    assert_fits(datasets['train'], boxes=4)
    assert len(datasets['train']) == 2
    write_table(root / 'all.csv', None, [*rows, ('c/gone.png', 1, 2, 3, 4, 'cat')])
    _, said = read('csv', root)
    assert '1 of 3 images that' in said
    assert 'c/gone.png' in said
    write_table(root / 'again.csv', None, rows)
    with pytest.raises(ValueError, match='2 images have several entries'):
        read('csv', root)


def test_a_column_that_may_be_the_class(tmp_path):
    truth = make(tmp_path / 'own', 'csv tensorflow')
    path = tmp_path / 'own/_annotations.csv'
    path.write_text(path.read_text().replace('class', 'species'))
    with pytest.raises(ValueError, match=r"species are not understood. Call the right one 'class'"):
        read('csv', tmp_path / 'own')
    rows = [row[:5] for row in rows_of(truth)]
    write_table(path, ['image', 'xmin', 'ymin', 'xmax', 'ymax'], rows)
    datasets, said = read('csv', tmp_path / 'own')
    assert datasets['train'].metainfo['classes'] == ('object',)
    assert "no column for the class: all are 'object'" in said


def test_turned_shapes_equal_those_of_opencv(tmp_path):
    """CVAT and VIA turn as OpenCV does, from x towards y."""
    turned = rotate([(10, 20), (30, 20), (30, 28), (10, 28)], (20, 24), np.deg2rad(30))
    expected = cv2.boxPoints(((20, 24), (20, 8), 30))
    np.testing.assert_allclose(sorted(turned), sorted(expected.tolist()), atol=1e-4)
    outline = ellipse((40, 30), 20, 6, np.deg2rad(30))
    (centre, sides, angle) = cv2.fitEllipse(np.array(outline, np.float32))
    assert centre == pytest.approx((40, 30), abs=1e-3)
    assert sides == pytest.approx((12, 40), abs=1e-2)  # OpenCV names the longer one last
    assert angle == pytest.approx(30 + 90, abs=0.1)


def test_tables_of_splits_whose_images_have_the_same_names(tmp_path):
    """TensorFlow's train_labels.csv beside images/train and images/test."""
    root, truths = tmp_path / 'own', {}
    for split, numbers in (('train', range(3)), ('test', range(7, 9))):
        truths[split] = make(tmp_path / split, 'csv tensorflow', numbers)
        images = root / 'images' / split
        images.mkdir(parents=True)
        for i, number in enumerate(numbers):
            (tmp_path / split / f'{number}.png').rename(images / f'{i}.png')
        (table,) = (tmp_path / split).glob('*.csv')
        text = table.read_text()
        for i, number in enumerate(numbers):
            text = text.replace(f'{number}.png', f'{i}.png')
        (root / f'{split}_labels.csv').write_text(text)
    datasets, _ = read('csv tensorflow', root)
    for split, truth in truths.items():
        assert_fits(datasets[split], boxes=sum(map(len, truth.values())))


@pytest.mark.parametrize(
    ('coordinate', 'is_said'), [('60.5', True), ('60', False), ('101.5', False)]
)
def test_percents_are_said(tmp_path, coordinate, is_said):
    draw(tmp_path / 'a.png')
    rows = f'filename,xmin,ymin,xmax,ymax,class\na.png,10,20,{coordinate},40,cat\n'
    (tmp_path / 'boxes.csv').write_text(rows)
    assert ('percents of the image' in '\n'.join(read_tables(tmp_path).notes)) is is_said
