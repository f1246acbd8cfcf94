"""Label maps in the layouts of annotation tools: the classes are those that were drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from tests.new_config.scenes import COLOURS, configure
from tests.new_config.test_rare_classes import UPERNET
from tnt_backbone.data_checks.files import plan_check
from tnt_backbone.data_checks.label_maps import read_label_map
from tnt_backbone.new_config.mask_colours import find_colours
from tnt_backbone.new_config.masks import set_mask_data
from tnt_backbone.run.find_config import find_config

NAMES = ('background', 'cat', 'dog')
GREY = (120, 120, 120)


def draw(images, labels, number, *, suffix='.png', ending='.png', kind='numbers'):
    """Write an image whose colours are its classes, and its label map."""
    rng = np.random.default_rng(number)
    truth = np.zeros((24, 32), np.uint8)
    for label in (1, 2):
        x, y = (int(value) for value in rng.integers(1, 10, 2))
        truth[y : y + 8, x + 12 * (label - 1) : x + 12 * (label - 1) + 8] = label
    colours = np.array([GREY, COLOURS['cat'], COLOURS['dog']], np.uint8)
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours[truth]).save(images / f'{number}{suffix}')
    if kind == 'colours':  # others than those of the image
        table = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
        Image.fromarray(table[truth]).save(labels / f'{number}{ending}')
    else:
        Image.fromarray(truth).save(labels / f'{number}{ending}')


def assert_fits(cfg, phase, names):
    """Compare each label map with the colours of its image."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build({**cfg[f'{phase}_dataloader'].dataset, 'pipeline': []})
    infos = dataset.load_data_list()
    assert dataset.metainfo['classes'] == NAMES
    assert {Path(info['img_path']).stem for info in infos} == set(map(str, names))
    for info in infos:
        pixels = np.asarray(Image.open(info['img_path']).convert('RGB')).astype(int)
        truth = np.zeros(pixels.shape[:2], int)
        for label, name in ((1, 'cat'), (2, 'dog')):
            truth[(abs(pixels - COLOURS[name]) < 20).all(axis=-1)] = label
        np.testing.assert_array_equal(read_label_map(info['seg_map_path']), truth)
    assert not [f for f in plan_check(dataset, is_training=phase == 'train').found if f.is_error]


def write_names(path):
    path.write_text('\n'.join(NAMES))


def inside(root, **options):
    for split, numbers in (('Train', range(3)), ('VALID', [5])):
        for number in numbers:
            draw(root / split / 'images', root / split / 'masks', number, **options)
    write_names(root / 'classes.txt')


def camvid(root):
    for split, numbers in (('train', range(3)), ('val', [5])):
        for number in numbers:
            folders = root / split, root / f'{split}_labels'
            draw(*folders, number, ending='_L.png', kind='colours')
    rows = ['name,r,g,b', 'background,0,0,0', 'cat,250,50,83', 'dog,51,221,255']
    (root / 'class_dict.csv').write_text('\n'.join(rows))


def segnet(root):
    for split, numbers in (('train', range(3)), ('val', [5])):
        for number in numbers:
            draw(root / f'{split}_images', root / f'{split}annot', number)
    write_names(root / 'classes.txt')


def capitals(root):
    for split, numbers in (('Train', range(3)), ('Val', [5])):
        for number in numbers:
            draw(root / 'Images' / split, root / 'Labels' / split, number)
    write_names(root / 'classes.txt')


def roboflow(root):
    for split, numbers in (('train', range(3)), ('valid', [5])):
        for number in numbers:
            draw(root / split, root / split, number, ending='_mask.png')
        rows = [' Pixel Value, Class', *(f'{i}, {name}' for i, name in enumerate(NAMES))]
        (root / split / '_classes.csv').write_text('\n'.join(rows))


def voc(root, kind='numbers'):
    for number in (0, 1, 2, 5, 7):
        draw(root / 'JPEGImages', root / 'SegmentationClass', number, kind=kind)
    lists = root / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('0\n1\n2\n')
    (lists / 'val.txt').write_text('5\r\n')
    write_names(root / 'classes.txt')


def cvat(root):
    voc(root, 'colours')
    (root / 'classes.txt').unlink()
    (root / 'labelmap.txt').write_text(
        '# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\ndog:51,221,255::\n'
    )


def labelformat(root):
    voc(root)
    (root / 'classes.txt').unlink()
    names = {str(i): name for i, name in enumerate(NAMES)}
    (root / 'class_id_to_name.json').write_text(json.dumps(names, indent=2))
    (root / 'splits.json').write_text('{"0": ["a"], "1": ["b"]}')


def hugging_face(root):
    """For the training of a segmentor: both files say the same."""
    inside(root)
    (root / 'classes.txt').unlink()
    (root / 'label2id.json').write_text(json.dumps({name: i for i, name in enumerate(NAMES)}))
    (root / 'id2label.json').write_text(json.dumps(dict(enumerate(NAMES))))


def labelme2voc(root):
    """LabelMe's example: arrays and drawings beside the label maps."""
    voc(root)
    (root / 'classes.txt').unlink()
    (root / 'SegmentationClass').rename(root / 'SegmentationClassPNG')
    names = ('_background_', *NAMES[1:])
    (root / 'class_names.txt').write_text('\n'.join(names))
    (root / 'labels.txt').write_text('\n'.join(('__ignore__', *names)))


def numbered_list(root):
    inside(root)
    lines = (f'{i}: {name}' for i, name in enumerate(NAMES))
    (root / 'classes.txt').rename(root / 'labels.txt').write_text('\n'.join(lines))


def numbered_backwards(root):
    inside(root)
    lines = [f'{i}: {name}' for i, name in enumerate(NAMES)]
    (root / 'classes.txt').write_text('\n'.join(reversed(lines)))


def kaggle_colours(root):
    inside(root, kind='colours')
    (root / 'classes.txt').unlink()
    (root / 'class_dict.csv').write_text(
        'name,r,g,b\r\nbackground,0,0,0\r\ncat,250,50,83\r\ndog, 51, 221, 255\r\n'
    )


@pytest.mark.parametrize(
    'make',
    [
        *(inside, camvid, segnet, capitals, roboflow, voc, cvat, kaggle_colours, labelformat),
        *(hugging_face, numbered_list, numbered_backwards),
    ],
)
def test_layouts(tmp_path, make):
    root = tmp_path / 'own'
    make(root)
    cfg, _ = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    if make in (cvat, kaggle_colours, camvid):
        palette = [[0, 0, 0], [250, 50, 83], [51, 221, 255]]
        assert cfg.train_dataloader.dataset.metainfo.palette == palette
    assert_fits(cfg, 'train', range(3))
    assert_fits(cfg, 'val', [5])
    assert_fits(cfg, 'test', [5])


@pytest.mark.parametrize('name', ['Void', 'unlabeled'])
def test_colours_of_no_class_are_ignored(tmp_path, name):
    """CamVid's table has Void, and the Semantic Drone Dataset's has unlabeled."""
    root = tmp_path / 'own'
    inside(root, kind='colours')
    (root / 'classes.txt').unlink()
    rows = ['cat,250,50,83', f'{name},0,0,0', 'dog,51,221,255']
    (root / 'class_dict.csv').write_text('\n'.join(['name,r,g,b', *rows]))
    cfg, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert f'{name} of {root / "class_dict.csv"} is 255' in said
    metainfo = cfg.train_dataloader.dataset.metainfo
    assert metainfo.classes == ('cat', 'dog')
    assert metainfo.palette == [[250, 50, 83], [51, 221, 255]]
    for number in range(3):
        found = read_label_map(tmp_path / f'own_label_maps/Train/masks/{number}.png')
        pixels = np.asarray(Image.open(root / f'Train/images/{number}.png')).astype(int)
        truth = np.full(found.shape, 255)
        for label, kind in enumerate(('cat', 'dog')):
            truth[(abs(pixels - COLOURS[kind]) < 20).all(axis=-1)] = label
        np.testing.assert_array_equal(found, truth)


def test_a_list_of_classes_decides_what_is_one(tmp_path):
    root = tmp_path / 'own'
    inside(root, kind='colours')
    rows = ['Void,0,0,0', 'cat,250,50,83', 'dog,51,221,255']
    (root / 'class_dict.csv').write_text('\n'.join(['name,r,g,b', *rows]))
    cfg, _ = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert_fits(cfg, 'train', range(3))


def test_numbers_of_no_class_are_said(tmp_path):
    """In maps of numbers, each name of a list counts."""
    root = tmp_path / 'own'
    inside(root)
    (root / 'classes.txt').write_text('cat\nvoid\ndog\n')
    cfg, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cat', 'void', 'dog')
    assert 'label 1 is a class like the others' in said
    assert '--label-map 1=255 2=1' in said
    (root / 'classes.txt').write_text('cat\ndog\n')
    options = ('--backbone', 'tnt_ti', '--label-map', '1=255', '2=1')
    configure(root, *options, config=UPERNET)


def test_label_0_of_ade20k_is_no_class(tmp_path):
    root = tmp_path / 'own'
    for split, short in (('training', 'train'), ('validation', 'val')):
        for number in range(2):
            folders = root / 'images' / split, root / 'annotations' / split
            draw(*folders, number)
            for folder in folders:
                file = folder / f'{number}.png'
                file.rename(folder / f'ADE_{short}_{number:08d}.png')
    with pytest.raises(ValueError, match=r'ADE_train_00000000\.png.*without --data.*data/ade'):
        configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    write_names(root / 'classes.txt')
    configure(root, '--backbone', 'tnt_ti', config=UPERNET)


def test_labels_from_1_on_are_refused_with_the_option_that_moves_them(tmp_path):
    root = tmp_path / 'own'
    inside(root)
    (root / 'classes.txt').unlink()
    for path in root.rglob('masks/*.png'):
        Image.fromarray(np.array(Image.open(path)) + 1).save(path)
    with pytest.raises(ValueError, match=r'hold 1 to 3, .*--label-map 1=0 2=1 3=2\.'):
        configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    options = ('--backbone', 'tnt_ti', '--label-map', '1=0', '2=1', '3=2')
    configure(root, *options, config=UPERNET)


def test_labelme2voc(tmp_path):
    root = tmp_path / 'own'
    labelme2voc(root)
    cfg, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('_background_', 'cat', 'dog')
    assert f'classes in the order of {root / "class_names.txt"}' in said
    (root / 'class_names.txt').unlink()
    cfg, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('_background_', 'cat', 'dog')


def test_a_table_of_colours_is_taken_before_other_lists(tmp_path):
    root = tmp_path / 'own'
    camvid(root)
    (root / 'labels.txt').write_text('dog\ncat\nbackground\n')
    cfg, _ = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert_fits(cfg, 'train', range(3))


def test_the_list_of_coco_stuff_does_not_name_its_label_maps(tmp_path):
    root = tmp_path / 'own'
    inside(root)
    (root / 'classes.txt').unlink()
    (root / 'labels.txt').write_text('0: unlabeled\n1: person\n2: bicycle\n3: car\n')
    cfg, _ = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('class 0', 'class 1', 'class 2')


def test_json_files_that_name_classes_in_different_ways(tmp_path):
    root = tmp_path / 'own'
    hugging_face(root)
    (root / 'id2label.json').write_text(json.dumps({'0': 'background', '1': 'dog', '2': 'cat'}))
    with pytest.raises(ValueError, match=r'differ in .*id2label\.json, .*label2id\.json'):
        configure(root, '--backbone', 'tnt_ti', config=UPERNET)


def test_label_maps_of_other_splits_are_no_others(tmp_path):
    root = tmp_path / 'own'
    camvid(root)
    draw(root / 'test', root / 'test_labels', 7, ending='_L.png', kind='colours')
    cfg, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert_fits(cfg, 'test', [7])
    assert 'has pictures like label maps, too' not in said


def flat(root):
    for number in range(10):
        draw(root / 'images', root / 'masks', number)
    write_names(root / 'classes.txt')


def cvat_without_splits(root):
    cvat(root)
    lists = root / 'ImageSets' / 'Segmentation'
    names = [path.stem for path in (root / 'JPEGImages').iterdir()]
    (lists / 'default.txt').write_text('\n'.join(names))
    for name in ('train', 'val'):
        (lists / f'{name}.txt').unlink()


@pytest.mark.parametrize(('make', 'total'), [(flat, 10), (cvat_without_splits, 5)])
def test_a_share_for_validation(tmp_path, make, total):
    root = tmp_path / 'own'
    make(root)
    with pytest.raises(FileNotFoundError, match=r'pass --val-share 0\.2'):
        configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    cfg, _ = configure(root, '--backbone', 'tnt_ti', '--val-share', '0.2', config=UPERNET)
    val = set((tmp_path / 'own_val.txt').read_text().split())
    train = set((tmp_path / 'own_train.txt').read_text().split())
    assert (len(val), len(train | val), len(train & val)) == (total // 5, total, 0)
    assert_fits(cfg, 'train', train)
    assert_fits(cfg, 'val', val)
    # the same ones each time, and no file of somebody else is lost
    configure(root, '--backbone', 'tnt_ti', '--val-share', '0.2', config=UPERNET)
    (tmp_path / 'own_val.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='own_val'):
        configure(root, '--backbone', 'tnt_ti', '--val-share', '0.2', config=UPERNET)


@pytest.mark.parametrize('layout', ['{part}/{split}', '{split}/{part}'])
def test_a_training_split_is_parted_and_the_test_split_stays(tmp_path, layout):
    root = tmp_path / 'own'

    def make(split, numbers):
        for number in numbers:
            parts = (root / layout.format(part=p, split=split) for p in ('images', 'labels'))
            draw(*parts, number)

    def run(*options):
        return configure(root, '--backbone', 'tnt_ti', *options, config=UPERNET)[0]

    make('train', range(5))
    write_names(root / 'classes.txt')
    with pytest.raises(FileNotFoundError, match=r'\bval\b.*pass --val-share 0\.2'):
        run()
    cfg = run('--val-share', '0.2')
    parts = [set((tmp_path / f'own_{s}.txt').read_text().split()) for s in ('train', 'val')]
    assert [len(part) for part in parts] == [4, 1]
    assert set.union(*parts) == set('01234')
    for phase, names in zip(('train', 'val', 'test'), (*parts, parts[1]), strict=True):
        assert_fits(cfg, phase, names)
    make('test', [7, 8])
    assert_fits(run(), 'val', '78')
    cfg = run('--val-share', '0.2')
    for phase, names in zip(('train', 'val', 'test'), (*parts, '78'), strict=True):
        assert_fits(cfg, phase, names)
    make('val', [6])
    with pytest.raises(ValueError, match=r'validation split already.*Leave out --val-share'):
        run('--val-share', '0.2')


def test_lists_without_one_to_judge_are_parted(tmp_path):
    voc(tmp_path / 'own')
    (tmp_path / 'own' / 'ImageSets' / 'Segmentation' / 'val.txt').unlink()
    options = ('--backbone', 'tnt_ti', '--val-share', '0.4')
    cfg, _ = configure(tmp_path / 'own', *options, config=UPERNET)
    parts = [set((tmp_path / f'own_{s}.txt').read_text().split()) for s in ('train', 'val')]
    assert set.union(*parts) == set('012')
    assert_fits(cfg, 'train', parts[0])
    assert_fits(cfg, 'val', parts[1])


def test_what_is_parted_already_keeps_its_parts(tmp_path):
    capitals(tmp_path / 'own')
    with pytest.raises(ValueError, match=r'validation split already.*Leave out --val-share'):
        configure(tmp_path / 'own', '--backbone', 'tnt_ti', '--val-share', '0.2', config=UPERNET)


def test_endings_of_all_kinds(tmp_path):
    for place, number, suffix, ending in (
        ('train', 0, '.TIF', '.png'),
        ('train', 1, '.tif', '.PNG'),
        ('train', 2, '.png', '.png'),
        ('train/deep', 3, '.png', '.png'),
        ('val', 4, '.bmp', '.png'),
    ):
        folders = tmp_path / 'own/images' / place, tmp_path / 'own/labels' / place
        draw(*folders, number, suffix=suffix, ending=ending)
    write_names(tmp_path / 'own/classes.txt')
    cfg, _ = configure(tmp_path / 'own', '--backbone', 'tnt_ti', config=UPERNET)
    assert_fits(cfg, 'train', range(4))
    assert_fits(cfg, 'val', [4])
    assert cfg.val_dataloader.dataset.type == 'BaseSegDataset'
    assert 'tnt_backbone.datasets.paired_seg' in cfg.custom_imports.imports
    draw(tmp_path / 'own/images/train', tmp_path, 0)
    with pytest.raises(ValueError, match=r'0\.TIF and .*0\.png would have the same label map'):
        configure(tmp_path / 'own', '--backbone', 'tnt_ti', '--force', config=UPERNET)


def spoil_colour(root):
    pixels = np.array(Image.open(root / 'SegmentationClass/0.png'))
    pixels[:4] = (1, 2, 3)
    Image.fromarray(pixels).save(root / 'SegmentationClass/0.png')


def spoil_list(root):
    (root / 'ImageSets/Segmentation/train.txt').write_text('0\ngone\n')


def spoil_images(root):
    (root / 'JPEGImages').rename(root / 'elsewhere')


def spoil_table(root):
    path = root / 'labelmap.txt'
    path.write_text(path.read_text().replace('51,221,255', '250,50,83'))


def cityscapes(root):
    (root / 'leftImg8bit').mkdir()
    (root / 'gtFine').mkdir()
    spoil_images(root)
    (root / 'SegmentationClass').rename(root / 'more')


def arrays(root):
    for path in list(root.iterdir()):
        path.rename(root.parent / path.name)
    np.save(root / 'x.npy', np.zeros((2, 2)))


def deeper(root):
    root.rename(root.parent / 'whole')
    root.mkdir()
    (root.parent / 'whole').rename(root / 'whole')


def two_folders_deeper(root):
    root.rename(root.parent / 'VOC2012')
    (root / 'VOCdevkit').mkdir(parents=True)
    (root.parent / 'VOC2012').rename(root / 'VOCdevkit/VOC2012')


def cityscapes_of_cvat(root):
    for path in list(root.iterdir()):
        path.rename(path.with_name(f'old_{path.name}'))
    for folder in ('imgsFine', 'gtFine'):
        draw(root / folder / 'default', root / folder / 'default', 1)


def full_ade20k(root):
    for path in list(root.iterdir()):
        path.rename(root.parent / f'old_{path.name}')
    for split, number in (('training', 1), ('validation', 2)):
        folder = root / 'images/ADE' / split / 'urban/street'
        draw(folder, root.parent / 'maps', number, kind='colours')
        name = f'ADE_{split.removesuffix("ing").removesuffix("idation")}_{number:08d}'
        (folder / f'{number}.png').rename(folder / f'{name}.jpg')
        (root.parent / 'maps' / f'{number}.png').rename(folder / f'{name}_seg.png')


SPOILED = {
    full_ade20k: 'full ADE20K.*ADEChallengeData2016',
    cityscapes_of_cvat: "Cityscapes of CVAT.*'Segmentation mask 1.1'",
    two_folders_deeper: 'VOCdevkit/VOC2012 has one: pass it as --data',
    spoil_colour: r'0\.png has 128 of 768 pixels of colours.*\(1, 2, 3\)',
    spoil_list: r'1 of 2 images that a list names.*gone',
    spoil_images: 'no images in JPEGImages.*Save images',
    spoil_table: r'\(250, 50, 83\) to several classes',
    cityscapes: 'layout of Cityscapes.*upernet_tnt_s_cityscapes',
    arrays: 'x.npy: NumPy.*as PNG files',
    deeper: 'whole has one: pass it as --data',
}


@pytest.mark.parametrize('spoil', SPOILED, ids=lambda spoil: spoil.__name__)
def test_what_does_not_fit_says_how_to_go_on(tmp_path, spoil):
    cvat(tmp_path / 'own')
    spoil(tmp_path / 'own')
    with pytest.raises((ValueError, FileNotFoundError), match=SPOILED[spoil]):
        configure(tmp_path / 'own', '--backbone', 'tnt_ti', config=UPERNET)


def test_blurred_edges_are_ignored(tmp_path):
    root = tmp_path / 'own'
    cvat(root)
    pixels = np.array(Image.open(root / 'SegmentationClass/0.png'))
    pixels[0, :5] = (1, 2, 3)
    Image.fromarray(pixels).save(root / 'SegmentationClass/0.png')
    _, said = configure(root, '--backbone', 'tnt_ti', config=UPERNET)
    assert '5 of 2304 pixels have colours' in said
    written = read_label_map(tmp_path / 'own_label_maps/SegmentationClass/0.png')
    assert (written[0, :6] == [255] * 5 + [0]).all()


@pytest.mark.parametrize(
    'text',
    [
        '0 0 0 sky\n128 0 0\tthe road\n',
        'name,r,g,b\n"sky",0,0,0\nthe road, 128,0,0\n',
        '\ufeffname,b,g,r\nsky,0,0,0\nthe road,0,0,128\n',
        'id;name;red;green;blue\r\n0;sky;0;0;0\r\n1;the road;128;0;0\r\n',
        'R,G,B,class\n0,0,0,sky\n128,0,0,the road\n',
    ],
)
def test_tables_of_colours(tmp_path, text):
    name = 'class_dict.csv' if {*text} & {*',;'} else 'label_colors.txt'
    (tmp_path / name).write_text(text)
    assert find_colours(tmp_path).classes == {'sky': (0, 0, 0), 'the road': (128, 0, 0)}


def test_names_that_are_nearly_the_same_are_said(tmp_path):
    inside(tmp_path / 'own')
    (tmp_path / 'own/classes.txt').write_text('background\ncat\nCat\n')
    _, said = configure(tmp_path / 'own', '--backbone', 'tnt_ti', config=UPERNET)
    assert 'are counted apart: Cat, cat' in said


@pytest.mark.parametrize('row', ['road,#800000', 'road,0.5,0,0'])
def test_a_table_of_colours_that_is_not_understood_is_shown(tmp_path, row):
    (tmp_path / 'class_dict.csv').write_text(f'name,color\n{row}\n')
    with pytest.raises(ValueError, match='such as road,255,255,255'):
        find_colours(tmp_path)
    (tmp_path / 'class_dict.csv').write_text(f'name,r,g,b\nsky,0,0,0\n{row}\n')
    with pytest.raises(ValueError, match=rf'the row {row}.*are no whole numbers'):
        find_colours(tmp_path)


@pytest.mark.parametrize(
    ('labels', 'lists', 'line'),
    [
        ('labels', '.', 'images/{0}.png labels/{0}.png'),  # PaddleSeg
        ('masks', '.', '{0}'),
        ('SegmentationClassContext', 'ImageSets/SegmentationContext', '{0}'),
    ],
)
def test_lists_of_splits(tmp_path, labels, lists, line):
    root = tmp_path / 'own'
    images = root / ('JPEGImages' if lists != '.' else 'images')
    for number in range(6):
        draw(images, root / labels, number)
        photo = np.asarray(Image.open(images / f'{number}.png')).astype(int)
        noise = np.random.default_rng(0).integers(-6, 7, photo.shape)
        Image.fromarray((photo + noise).clip(0, 255).astype(np.uint8)).save(
            images / f'{number}.png'
        )
    write_names(root / 'classes.txt')
    (root / lists).mkdir(parents=True, exist_ok=True)
    for split, numbers in (('train', range(4)), ('val', (4, 5))):
        text = '\n'.join(line.format(number) for number in numbers)
        (root / lists / f'{split}.txt').write_text(text)
    cfg = Config.fromfile(find_config(UPERNET))
    set_mask_data(cfg, root, stem=tmp_path / 'out', overwrite=True)
    assert_fits(cfg, 'train', range(4))
    assert_fits(cfg, 'val', (4, 5))
    (root / lists / 'val.txt').write_text(line.format(3))
    said = set_mask_data(cfg, root, stem=tmp_path / 'out', overwrite=True)
    assert any('1 of 1 images of the val split are also in the training split' in s for s in said)
