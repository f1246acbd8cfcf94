"""Pascal VOC's XML files: every box is the one that MMDetection's own reader gives."""

import re

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

from tests.new_config.scenes import (
    assert_equal,
    assert_fits,
    boxes_of,
    configure,
    convert_folder,
    dataset_of,
    draw,
    infos_of,
)
from tnt_backbone.new_config.voc import read_voc


def write_xml(path, things, *, size=(96, 64), filename=None, first=1, difficult=()):
    """Write the annotations of an image, with coordinates that count from ``first``.

    VOC's last pixel belongs to the box, and MMDetection's reader ends a box there.
    """
    objects = ''.join(
        f'<object><name>{thing.name}</name><difficult>{int(i in difficult)}</difficult><bndbox>'
        + ''.join(
            f'<{key}>{value + first}</{key}>'
            for key, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), thing.box, strict=True)
        )
        + '</bndbox></object>'
        for i, thing in enumerate(things)
    )
    sizes = f'<size><width>{size[0]}</width><height>{size[1]}</height></size>' if size else ''
    name = path.with_suffix('.png').name if filename is None else filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<annotation><filename>{name}</filename>{sizes}{objects}</annotation>', encoding='utf-8'
    )


def make(root, numbers, *, images='JPEGImages', labels='Annotations', suffix='.png', **options):
    """Write images with their XML files; return the rectangles of each."""
    truth = {}
    for i in numbers:
        truth[f'{i}{suffix}'] = draw(root / images / f'{i}{suffix}', seed=i)
        write_xml(root / labels / f'{i}.xml', truth[f'{i}{suffix}'], **options)
    return truth


def write_lists(root, **splits):
    folder = root / 'ImageSets' / 'Main'
    folder.mkdir(parents=True)
    for split, names in splits.items():
        (folder / f'{split}.txt').write_bytes(''.join(f'{name}\r\n' for name in names).encode())


def test_label_studio_counts_from_0(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(3), first=0)
    for path in root.rglob('*.xml'):
        owner = '<owner><flickrid>NULL</flickrid><name>Label Studio</name></owner><object>'
        path.write_text(path.read_text().replace('<object>', owner, 1))
    datasets, said = convert_folder(read_voc, root)
    assert_equal(datasets['train'], truth)
    assert_fits(datasets['train'], boxes=6)
    assert 'count from 0, as those of Label Studio' in said


def test_vocs_own_layout(tmp_path):
    truth = make(tmp_path / 'voc', range(6))
    write_lists(tmp_path / 'voc', train=[0, 1, 2], val=['3  1', 4], test=[5], trainval=[0, 1, 2, 3])
    # other pictures of the same names
    draw(tmp_path / 'voc' / 'SegmentationClass' / '0.png')
    cfg, said = configure(tmp_path / 'voc')
    for phase, names in (('train', '012'), ('val', '34'), ('test', '5')):
        dataset = dataset_of(cfg, phase)
        assert_equal(dataset, {f'{name}.png': truth[f'{name}.png'] for name in names})
        assert_fits(dataset, boxes=2 * len(names))
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cat', 'dog')
    assert 'coordinates count from 1' in said
    assert 'left out' not in said


def test_rotated_boxes_of_cvat(tmp_path):
    """The box is that before the rotation, here by 90 degrees."""
    truth = make(tmp_path / 'voc', range(3))
    for name, things in truth.items():
        text = (tmp_path / 'voc/Annotations' / f'{name[:-4]}.xml').read_text()
        for thing in things:
            x1, y1, x2, y2 = thing.box
            box = [(x1 + x2 - y2 + y1) / 2, (y1 + y2 - x2 + x1) / 2]
            box += [box[0] + y2 - y1, box[1] + x2 - x1]
            for key, old, new in zip(('xmin', 'ymin', 'xmax', 'ymax'), thing.box, box, strict=True):
                text = text.replace(f'<{key}>{old + 1}<', f'<{key}>{new + 1}<', 1)
        attribute = '<attribute><name>rotation</name><value>90.0</value></attribute>'
        text = text.replace('</object>', f'<attributes>{attribute}</attributes></object>')
        (tmp_path / 'voc/Annotations' / f'{name[:-4]}.xml').write_text(text)
    datasets, _ = convert_folder(read_voc, tmp_path / 'voc')
    assert_equal(datasets['train'], truth)


def test_accents_that_are_stored_in_another_way(tmp_path):
    root = tmp_path / 'voc'
    truth = make(root, [0], filename='\u00e9.png')
    (root / 'JPEGImages/0.png').rename(root / 'JPEGImages/e\u0301.png')
    (root / 'Annotations/0.xml').rename(root / 'Annotations/\u00e9.xml')
    datasets, said = convert_folder(read_voc, root)
    assert_equal(datasets['train'], {'e\u0301.png': truth['0.png']})
    assert 'name another image' not in said


def test_objects_without_a_box_are_said(tmp_path):
    """Such as those of roLabelImg, which writes robndbox."""
    make(tmp_path / 'voc', range(2))
    for path in (tmp_path / 'voc/Annotations').iterdir():
        path.write_text(path.read_text().replace('bndbox>', 'robndbox>'))
    with pytest.raises(ValueError, match=r"None of the 2 XML files.*0\.xml.*'cat'.*<bndbox>"):
        read_voc(tmp_path / 'voc')


def test_lists_with_folders(tmp_path):
    """As CVAT writes them for tasks with folders; the folders have images of the same names."""
    root = tmp_path / 'voc'
    first = make(root, range(2), images='JPEGImages/a', labels='Annotations/a')
    (root / 'JPEGImages/b').mkdir()
    second = draw(root / 'JPEGImages/b/0.png', seed=9)
    write_xml(root / 'Annotations/b/0.xml', second)
    write_lists(root, train=['a/0', 'a\\1.png'], val=['VOC/JPEGImages/b/0.png'])
    datasets, _ = convert_folder(read_voc, root)
    assert_equal(datasets['train'], first)
    assert_equal(datasets['val'], {'0.png': second})
    (root / 'ImageSets/Main/val.txt').write_text('0')
    with pytest.raises(ValueError, match=r'val.txt: 0 could be .*a/0.xml, .*b/0.xml'):
        read_voc(root)


def test_boxes_are_those_of_mmdetection(tmp_path):
    root = tmp_path / 'voc'
    make(root, range(3), suffix='.jpg', difficult=(1,))
    write_lists(root, train=range(3))
    ours = boxes_of(convert_folder(read_voc, root)[0]['train'])
    with DefaultScope.overwrite_default_scope('mmdet'):
        theirs = DATASETS.build(
            dict(
                type='XMLDataset',
                metainfo=dict(classes=('cat', 'dog')),
                ann_file=str(root / 'ImageSets/Main/train.txt'),
                data_prefix=dict(sub_data_root=str(root)),
                pipeline=[],
            )
        )
    assert ours == boxes_of(theirs)
    assert {flag for boxes in ours.values() for _, _, flag in boxes} == {0, 1}


@pytest.mark.parametrize(
    ('images', 'labels'), [('images', 'annots'), ('.', '.'), ('a/pictures', 'b')]
)
def test_other_folders(tmp_path, images, labels):
    truth = make(tmp_path / 'own', range(4), images=images, labels=labels)
    datasets, _ = convert_folder(read_voc, tmp_path / 'own')
    assert_equal(datasets['train'], truth)


def test_a_share_for_validation(tmp_path):
    truth = make(tmp_path / 'own', range(4))
    cfg, _ = configure(tmp_path / 'own', '--val-share', 0.25)
    train, val = boxes_of(dataset_of(cfg)), boxes_of(dataset_of(cfg, 'val'))
    assert (len(train), len(val)) == (3, 1)
    expected = {name: [(*thing, 0) for thing in things] for name, things in truth.items()}
    assert train | val == expected


def test_folders_for_splits(tmp_path):
    """As Roboflow writes them; the splits have images of the same names."""
    root = tmp_path / 'own'
    train = make(root, range(3), images='train', labels='train')
    (root / 'valid').mkdir()
    things = draw(root / 'valid' / '0.png', seed=7)
    write_xml(root / 'valid' / '0.xml', things)
    datasets, _ = convert_folder(read_voc, root)
    assert_equal(datasets['train'], train)
    assert_equal(datasets['val'], {'0.png': things})
    assert 'valid/0.png' in infos_of(datasets['val'])[0]['img_path']
    draw(root / 'loose.png')
    write_xml(root / 'loose.xml', [])
    with pytest.raises(ValueError, match=r'1 images that are in none of them, such as .*loose.png'):
        read_voc(root)


def test_coordinates_from_zero(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(2), first=0)
    edge = [thing._replace(box=(0, 3, 9, 9)) for thing in truth['0.png'][:1]]
    write_xml(root / 'Annotations' / '0.xml', edge, first=0)
    datasets, said = convert_folder(read_voc, root)
    assert boxes_of(datasets['train']) == {
        '0.png': [(*edge[0], 0)],
        '1.png': [(*thing, 0) for thing in truth['1.png']],
    }
    assert 'coordinates count from 0' in said


def test_what_tools_write_otherwise(tmp_path):
    """No size, a size of 0, fractions, paths of Windows, capital letters, hidden files, a mark."""
    root = tmp_path / 'own'
    truth = {f'{i}.PNG': draw(root / 'images' / f'{i}.PNG', seed=i) for i in range(6)}
    things = list(truth.values())
    write_xml(root / 'annots' / '0.xml', things[0], size=None)
    write_xml(root / 'annots' / '1.xml', things[1], size=(0, 0))
    write_xml(root / 'annots' / '2.xml', things[2], first=1.25)
    write_xml(root / 'annots' / '3.XML', things[3], filename='C:\\pictures\\other.png')
    write_xml(root / 'annots' / 'anything.xml', things[4], filename='4.PNG')
    write_xml(root / 'annots' / 'thing.xml', things[5], filename='5.jpeg')
    marked = root / 'annots' / '0.xml'
    marked.write_bytes(b'\xef\xbb\xbf' + marked.read_bytes().replace(b'><', b'>\r\n<'))
    for name in ('annots/._0.xml', 'images/._0.PNG'):
        (root / name).write_bytes(b'\x00\x05\x16\x07')
    datasets, said = convert_folder(read_voc, root)
    moved = [
        thing._replace(box=tuple(value + 0.25 for value in thing.box)) for thing in truth['2.PNG']
    ]
    assert_equal(datasets['train'], truth | {'2.PNG': moved})
    assert '2 XML files name another image in <filename>' in said
    assert '3.XML' in said


@pytest.mark.parametrize('turn', range(1, 9))
def test_boxes_in_the_picture_that_exif_turns(tmp_path, turn):
    things = draw(tmp_path / 'own' / 'images' / '0.png', seed=1, turn=turn)
    write_xml(tmp_path / 'own' / 'annots' / '0.xml', things)
    datasets, said = convert_folder(read_voc, tmp_path / 'own')
    assert_fits(datasets['train'], boxes=2)
    assert ('1 images are turned by EXIF' in said) == (turn > 1)


@pytest.mark.parametrize('turn', [5, 6, 7, 8])
def test_boxes_in_the_stored_picture_are_turned(tmp_path, turn):
    """As of a tool that does not look at EXIF: the size in the file says so."""
    things = draw(tmp_path / 'own' / 'images' / '0.png', seed=1, turn=turn)
    things, size = stored(things, turn)
    assert size == (64, 96)
    write_xml(tmp_path / 'own' / 'annots' / '0.xml', things, size=size)
    datasets, said = convert_folder(read_voc, tmp_path / 'own')
    assert_fits(datasets['train'], boxes=2)
    assert 'EXIF' not in said


def stored(things, turn):
    """Where the rectangles lie in the stored picture, found by its pixels' numbers."""
    numbers = np.arange(64 * 96, dtype=np.int32).reshape(64, 96)
    back = {
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }[turn](numbers)
    moved = []
    for thing in things:
        x1, y1, x2, y2 = thing.box
        rows, columns = np.isin(back, numbers[y1:y2, x1:x2]).nonzero()
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        moved.append(thing._replace(box=tuple(int(value) for value in box)))
    return moved, (back.shape[1], back.shape[0])


def spoil(root, fault):
    xml = root / 'Annotations' / '3.xml'
    text = xml.read_text()
    if fault == 'damaged':
        path = root / 'JPEGImages' / '3.png'
        path.write_bytes(path.read_bytes()[:40])
    elif fault == 'size':
        xml.write_text(text.replace('<width>96', '<width>192'))
    elif fault == 'no xml':
        xml.write_text(text[:-9])
    elif fault == 'encoding':
        xml.write_text('<?xml version="1.0" encoding="gb2312"?>' + text)
    elif fault == 'no number':
        xml.write_text(text.replace('<xmin>', '<xmin>x', 1))
    elif fault == 'exchanged':
        xml.write_text(
            text.replace('xmin', 'x')
            .replace('xmax', 'xmin')
            .replace('<x>', '<xmax>')
            .replace('</x>', '</xmax>')
        )
    elif fault == 'no name':
        xml.write_text(text.replace('<name>', '<title>').replace('</name>', '</title>'))
    elif fault == 'no image':
        (root / 'JPEGImages' / '3.png').unlink()
    elif fault == 'no label file':
        xml.unlink()


FAULTS = {
    'damaged': '1 of 12 images are left out, image cannot be read',
    'size': '3.xml: it says 192x64 .* has 96x64',
    'no xml': '3.xml: it is not XML',
    'encoding': '3.xml: it is not XML .*multi-byte',
    'no number': "'x",
    'exchanged': 'maximum under its minimum',
    'no name': "the <name> ''",
    'no image': r'1 label files have no image and are left out \(.*3.xml\)',
    'no label file': r'1 images have no label file, left out \(.*3.png\)',
}


@pytest.mark.parametrize('fault', FAULTS)
def test_one_image_that_cannot_be_used(tmp_path, fault):
    root = tmp_path / 'own'
    truth = make(root, range(12))
    spoil(root, fault)
    datasets, said = convert_folder(read_voc, root)
    del truth['3.png']
    assert_equal(datasets['train'], truth)
    assert re.search(FAULTS[fault], said), said


def test_too_many_that_cannot_be_used(tmp_path):
    make(tmp_path / 'own', range(12), size=(64, 96))
    with pytest.raises(ValueError, match=r'12 of 12 images are left out.*another size'):
        convert_folder(read_voc, tmp_path / 'own')
    assert not (tmp_path / 'own_coco.json').exists()


def test_no_image_at_all(tmp_path):
    write_xml(tmp_path / 'own' / '0.xml', draw(tmp_path / 'elsewhere' / '0.png'))
    with pytest.raises(ValueError, match=r'no image to train on.*1 label files have no image'):
        convert_folder(read_voc, tmp_path / 'own')


def test_background_is_kept(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(3))
    write_xml(root / 'Annotations' / '1.xml', [])
    cfg, said = configure(root)
    assert_equal(dataset_of(cfg), truth | {'1.png': []})
    assert 'images without annotation, kept: 1 (1.png)' in said


def test_a_list_of_classes_gives_their_order(tmp_path):
    root = tmp_path / 'own'
    truth = make(root, range(3))
    (root / 'classes.txt').write_bytes('\ufeffdog\r\nbird\r\ncat\r\n'.encode())
    cfg, said = configure(root)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('dog', 'bird', 'cat')
    assert cfg.model.bbox_head.num_classes == 3
    assert_equal(dataset_of(cfg), truth)
    assert 'no box of 1 of the classes: bird' in said
    (root / 'classes.txt').write_text('dog\n')
    with pytest.raises(ValueError, match=r'classes.txt does not name the classes cat \(3 times\)'):
        convert_folder(read_voc, root)
    (root / 'classes.txt').write_text('dog\n\ncat\n')
    with pytest.raises(ValueError, match='class 1 of 3 has no name'):
        convert_folder(read_voc, root)


def test_names_that_differ_in_capital_letters_are_told(tmp_path):
    root = tmp_path / 'own'
    make(root, range(3))
    xml = root / 'Annotations' / '0.xml'
    xml.write_text(xml.read_text().replace('dog', 'Dog'))
    assert 'counted apart: Dog, dog' in convert_folder(read_voc, root)[1]


def test_an_image_in_two_splits(tmp_path):
    root = tmp_path / 'voc'
    make(root, range(3))
    write_lists(root, train=[0, 1], val=[1, 2])
    assert (
        '1 of 2 images of the val split are also in the training split'
        in convert_folder(read_voc, root)[1]
    )


def test_a_list_names_what_is_missing(tmp_path):
    root = tmp_path / 'voc'
    make(root, range(12))
    write_lists(root, train=[*range(11), 'nothing'])
    datasets, said = convert_folder(read_voc, root)
    assert len(boxes_of(datasets['train'])) == 11
    assert 'lists 1 of 12 names without an XML file or an image, left out: nothing' in said
    assert '1 XML files are in none of its lists' in said
    (root / 'ImageSets/Main/train.txt').write_text('a\nb\n1\n')
    with pytest.raises(ValueError, match='2 of 3 names'):
        convert_folder(read_voc, root)


def test_one_of_several_years(tmp_path):
    truth = make(tmp_path / 'kit/VOC2007', range(3))
    write_lists(tmp_path / 'kit/VOC2007', train=[0, 1], test=[2])
    datasets, _ = convert_folder(read_voc, tmp_path / 'kit')
    assert_equal(datasets['test'], {'2.png': truth.pop('2.png')})
    assert_equal(datasets['train'], truth)
    make(tmp_path / 'kit/VOC2012', range(10, 12))
    write_lists(tmp_path / 'kit/VOC2012', train=[10], val=[11])
    with pytest.raises(ValueError, match=r'several lists of splits.*VOC2007.*VOC2012'):
        read_voc(tmp_path / 'kit')


def test_a_file_of_the_user_is_not_overwritten(tmp_path):
    root = tmp_path / 'own'
    make(root, range(3))
    theirs = tmp_path / 'own_coco.json'
    theirs.write_text('{}')
    with pytest.raises(FileExistsError, match=r'own_coco.json.*--force'):
        configure(root)
    assert theirs.read_text() == '{}'
    configure(root, '--force')
    write_xml(root / 'Annotations' / '0.xml', [])
    cfg, _ = configure(root)  # the file is our own now
    assert boxes_of(dataset_of(cfg))['0.png'] == []
    (tmp_path / 'own_coco_val.json').write_text('{}')
    with pytest.raises(FileExistsError, match=r'own_coco_val\.json'):
        configure(root, '--val-share', 0.4)
