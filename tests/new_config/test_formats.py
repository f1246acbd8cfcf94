"""The format of a folder is recognised, or the message says what decides."""

import pytest

from tests.new_config import test_labelme as labelme
from tests.new_config import test_listed as listed
from tests.new_config import test_voc as voc
from tests.new_config import test_yolo as yolo
from tests.new_config.scenes import configure, draw
from tests.new_config.test_correct_coco import make as make_coco
from tests.new_config.test_correct_coco import write as write_coco
from tests.new_config.test_rare_classes import RESNET, UPERNET
from tnt_backbone.new_config.data_folder import SAMPLED
from tnt_backbone.new_config.formats import recognise

MAKERS = {
    'coco': lambda root: write_coco(root / 'all.json', make_coco(root)),
    'yolo': lambda root: yolo.make_splits(root, 2),
    'voc': lambda root: voc.make(root, range(2)),
    'labelme': lambda root: labelme.make(root, range(2)),
}


@pytest.mark.parametrize('name', MAKERS)
def test_each_format(tmp_path, name):
    MAKERS[name](tmp_path)
    assert recognise(tmp_path) == name


@pytest.mark.parametrize('kind', ['beside', 'obj.data', 'no description'])
def test_yolo_without_data_yaml(tmp_path, kind):
    yolo.make(tmp_path, tmp_path, range(2))
    if kind == 'obj.data':
        (tmp_path / 'obj.data').write_text('names = obj.names\ntrain = train.txt\n')
    elif kind == 'beside':
        (tmp_path / 'classes.txt').write_text('cat\ndog\n')
    assert recognise(tmp_path) == 'yolo'


@pytest.mark.parametrize('labels', ['none', 'empty'])
def test_yolo_that_begins_with_images_of_background(tmp_path, labels):
    yolo.make(tmp_path / 'images', tmp_path / 'labels', range(2))
    for i in range(SAMPLED + 5):
        draw(tmp_path / 'images' / f'-{i}.png', number=0)
        if labels == 'empty':
            (tmp_path / 'labels' / f'-{i}.txt').touch()
    assert recognise(tmp_path) == 'yolo'


@pytest.mark.parametrize('kind', listed.WRITERS)
def test_files_that_list_images(tmp_path, kind):
    listed.make(tmp_path, kind)
    for folder in {path.parent for path in tmp_path.rglob('*.png')}:
        for i in range(SAMPLED + 5):  # named before the file
            (folder / f'0{i}.jpg').touch()
            (folder / f'0{i}.md').touch()
    assert recognise(tmp_path) == kind.split()[0]


@pytest.mark.parametrize('first', MAKERS)
def test_a_table_beside_other_labels_is_said(tmp_path, first):
    MAKERS[first](tmp_path)
    listed.make(tmp_path / 'tables', 'csv tensorflow')
    notes = []
    assert recognise(tmp_path, notes=notes) == first
    (note,) = notes
    assert 'csv (tables with boxes, such as tables/_annotations.csv)' in note
    assert f'{first} is read' in note


def test_oriented_boxes_of_roboflow(tmp_path):
    """yolov5-obb: a data.yaml, and DOTA's rows in labelTxt/."""
    listed.make(tmp_path / 'train', 'dota')
    yolo.write_yaml(tmp_path)
    assert recognise(tmp_path) == 'dota'


def test_labels_beside_the_folder(tmp_path):
    yolo.make_splits(tmp_path, 2, to_row=yolo.polygon_row)
    assert recognise(tmp_path / 'images') == 'yolo'


@pytest.mark.parametrize(('first', 'second'), [('coco', 'voc'), ('labelme', 'yolo')])
def test_two_formats_are_refused(tmp_path, first, second):
    MAKERS[first](tmp_path)
    MAKERS[second](tmp_path)
    with pytest.raises(ValueError, match=r'fits several formats.*Pass --format') as refused:
        recognise(tmp_path)
    assert f'{first}: ' in str(refused.value)
    assert f'{second}: ' in str(refused.value)
    for name in (first, second):
        assert recognise(tmp_path, name) == name


@pytest.mark.parametrize(
    ('place', 'text', 'words'),
    [
        ('labels/0.txt', '0 0.5 0.5 0.1 0.1', r'lies elsewhere than .* in labels/ for images/'),
        ('images/train/0.txt', '0 0,5 0,5 0,1 0,1', r"the row '0 0,5 0,5 0,1 0,1'"),
    ],
)
def test_text_files_with_names_of_images(tmp_path, place, text, words):
    draw(tmp_path / 'images/train/0.png')
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(text)
    with pytest.raises(ValueError, match=words):
        recognise(tmp_path)


def test_no_format_is_refused(tmp_path):
    draw(tmp_path / 'a.jpg')
    (tmp_path / 'notes.json').write_text('{}')
    (tmp_path / 'page.xml').write_text('<html/>')
    (tmp_path / 'a.txt').write_text('two words')
    for name in ('LICENSE', 'VERSION'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r'fits none.*Looked for') as refused:
        recognise(tmp_path)
    for text in (
        '(coco)',
        '(yolo)',
        '(voc)',
        '(labelme)',
        '1 files in .jpg',
        '2 files in no ending',
        'MMSegmentation',
    ):
        assert text in str(refused.value)


@pytest.mark.parametrize('config', [UPERNET, RESNET])
def test_boxes_for_another_library_are_named(tmp_path, config):
    MAKERS['yolo'](tmp_path / 'own')
    said = r'no outline .*MMDetection' if config == UPERNET else r'looks like yolo, .*MMDetection'
    with pytest.raises((FileNotFoundError, ValueError), match=said):
        configure(tmp_path / 'own', '--backbone', 'tnt_ti', config=config)
    if config == RESNET:
        with pytest.raises((FileNotFoundError, ValueError), match='columns filename and label'):
            configure(tmp_path / 'own', '--backbone', 'tnt_ti', config=config)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError) as refused:
        configure(tmp_path / 'empty', '--backbone', 'tnt_ti', config=config)
    assert 'looks like' not in str(refused.value)


def test_a_table_of_colours_is_not_called_one_of_boxes(tmp_path):
    draw(tmp_path / 'own/pictures/0.png')
    (tmp_path / 'own/class_dict.csv').write_text('name,r,g,b\ncat,1,2,3\n')
    with pytest.raises(FileNotFoundError, match='no folder images') as refused:
        configure(tmp_path / 'own', '--backbone', 'tnt_ti', config=UPERNET)
    assert 'class_dict.csv is of' not in str(refused.value)
