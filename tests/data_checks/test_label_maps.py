"""Label maps: pairs, labels and classes, and what the data sets make of them."""

import json
import re

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

import tnt_backbone.engine  # noqa: F401 (registers RelabelPixels)
from tests.conftest import ROOT
from tnt_backbone.cli import check_data
from tnt_backbone.cli.new_config import convert, find_config, parse_args
from tnt_backbone.data_checks.datasets import build_leaf_datasets
from tnt_backbone.data_checks.label_maps import (
    check_label_maps,
    check_size,
    find_in_labels,
    labels_in,
    pair,
    parse_label_map,
    read_label_map,
)

RED = (220, 40, 40)
CONFIG = ROOT / 'configs/fpn_tnt_s_ade20k.py'


def write(root, split='train', number=2, *, value=1, mode='L', suffix='.png', folder=''):
    """Write grey images with a red rectangle, and label maps with ``value`` under it."""
    rng = np.random.default_rng(len(split))
    for i in range(number):
        pixels = rng.integers(90, 130, (40, 60, 3), dtype=np.uint8)
        labels = np.zeros((40, 60), np.uint8)
        pixels[8:24, 10:30], labels[8:24, 10:30] = RED, value
        for kind, image, ending in (
            ('images', Image.fromarray(pixels), '.jpg'),
            ('labels', Image.fromarray(labels).convert(mode), suffix),
        ):
            path = root / kind / split / folder / f'{i}{ending}'
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=95)


def make(root, *options, classes='background\ncat\n'):
    """Return the config that new_config makes of a folder, and what it says."""
    if classes is not None and not (root / 'classes.txt').exists():
        (root / 'classes.txt').write_text(classes)
    args = parse_args(
        [str(root / 'c.py'), '--from', str(CONFIG), '--data', str(root), '--force', *options]
    )
    cfg, changes = convert(args, find_config(args.source))
    return cfg, '\n'.join(changes)


def trained_on(cfg, phase='train'):
    """Return the images and label maps behind loading, by MMSegmentation's own data set."""
    loader = cfg[f'{phase}_dataloader'].dataset
    names = ('LoadImageFromFile', 'LoadImageOrSkip', 'LoadAnnotations', 'RelabelPixels')
    pipeline = [part for part in loader.pipeline if part['type'] in names]
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build({**loader, 'pipeline': pipeline})
    return [(sample['img'], sample['gt_seg_map']) for sample in dataset]


def assert_red_is_one(samples):
    assert samples
    for image, labels in samples:
        red = (image[..., 2] > 180) & (image[..., 1] < 90)  # BGR
        assert red.sum() > 200
        assert (labels[red] == 1).mean() > 0.98
        assert (labels[~red] == 0).mean() > 0.98


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'data'


def both(root, **options):
    write(root, 'train', **options)
    write(root, 'val', **options)


@pytest.mark.parametrize(
    'options', [{}, {'suffix': '.tif'}, {'suffix': '.jpg.png'}, {'folder': 'sequence'}]
)
def test_pixels_fit_what_lies_under_them(root, options):
    both(root, **options)
    cfg, _ = make(root)
    for phase in ('train', 'val', 'test'):
        assert_red_is_one(trained_on(cfg, phase))


@pytest.mark.parametrize('kind', [np.uint16, np.int32, np.float32, bool])
def test_label_maps_of_other_types(root, kind):
    both(root)
    for path in list((root / 'labels').rglob('*.png')):
        labels = np.asarray(Image.open(path)).astype(kind)
        path.unlink()
        Image.fromarray(labels).save(path.with_suffix('.tif'))
    cfg, _ = make(root)
    assert_red_is_one(trained_on(cfg))


def test_0_and_255_are_refused_or_mapped(root):
    both(root, value=255)
    with pytest.raises(ValueError, match=r'cat.*--label-map 255=1'):
        make(root)
    cfg, said = make(root, '--label-map', '255=1')
    assert '255 -> 1' in said
    for phase in ('train', 'val', 'test'):
        assert_red_is_one(trained_on(cfg, phase))
    # the checks see what the pipeline makes of the labels
    for phase in ('train', 'val'):
        (dataset,) = build_leaf_datasets(cfg, [phase])[phase]
        assert check_label_maps(dataset, is_training=phase == 'train') == []


def test_test_time_augmentation_maps_labels_too(root):
    both(root, value=255)
    cfg, _ = make(root, '--label-map', '255=1')
    stages = cfg.tta_pipeline[1]['transforms']
    (place,) = (i for i, stage in enumerate(stages) if stage[0]['type'] == 'LoadAnnotations')
    assert stages[place + 1] == [dict(type='RelabelPixels', new_labels=[(255, 1)])]


def test_grey_levels_are_refused_or_mapped(root):
    both(root, value=127)
    with pytest.raises(ValueError, match=r'127.*--label-map'):
        make(root, classes=None)
    cfg, _ = make(root, '--label-map', '127=1', classes=None)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('class 0', 'class 1')
    assert_red_is_one(trained_on(cfg))


def test_a_class_without_pixels_is_an_error_in_training_and_a_note_in_validation(root):
    write(root, 'train', value=1)
    write(root, 'val', value=0)
    _, said = make(root)
    assert 'labels/val' in said
    assert '1 (cat)' in said
    (root / 'classes.txt').write_text('a\nb\ndog\n')
    with pytest.raises(ValueError, match=r'2 \(dog\)'):
        make(root)


def test_label_maps_of_validation_are_read_too(root):
    write(root, 'train', value=1)
    write(root, 'val', value=2)
    with pytest.raises(ValueError, match=r'labels/val.*\b2\b.*val/\d+\.png.*--label-map'):
        make(root)


def test_a_label_map_of_another_size_is_named(root):
    both(root)
    path = root / 'labels/val/0.png'
    Image.open(path).resize((30, 20), 0).save(path)
    with pytest.raises(ValueError, match=r'val/0\.png.*\b30x20\b.*\b60x40\b'):
        make(root)


def test_a_label_map_larger_than_pillow_reads_is_named(root, monkeypatch):
    both(root)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(ValueError, match=r'train/0\.png'):
        make(root)


@pytest.mark.parametrize('beside', ['.json', '.jpg', '._', '.txt'])
def test_only_lossless_pictures_are_label_maps(root, beside):
    both(root)
    for path in list((root / 'labels').rglob('*.png')) + list((root / 'images').rglob('*.jpg')):
        if beside == '._':
            (path.parent / f'._{path.name}').write_bytes(b'\x00\x05\x16\x07')
        elif path.suffix == '.png':
            if beside == '.jpg':
                Image.open(path).save(path.with_suffix('.jpg'))
            else:
                path.with_suffix(beside).write_text('{}')
    cfg, _ = make(root)
    assert cfg.train_dataloader.dataset.seg_map_suffix == '.png'
    assert_red_is_one(trained_on(cfg))


@pytest.mark.parametrize('longer', ['_color.png', '-color.png'])
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_the_exact_name_comes_before_longer_ones(root, suffix, longer):
    both(root, suffix=suffix)
    for path in list((root / 'labels').rglob(f'*{suffix}')):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(path.with_name(path.stem + longer))
    assert pair(root / 'images/train', root / 'labels/train').label_suffix == suffix


def test_several_pictures_that_could_be_the_label_map_are_listed(root):
    """Numbers of instances and of classes: the first by its name would be as good."""
    both(root)
    for path in list((root / 'labels').rglob('*.png')):
        for ending in ('_instance.png', '_label.png'):
            Image.fromarray(np.zeros((40, 60), np.uint8)).save(path.with_name(path.stem + ending))
        path.unlink()
    with pytest.raises(ValueError, match=r'several pictures.*_instance\.png, _label\.png'):
        pair(root / 'images/train', root / 'labels/train')
    for path in list((root / 'labels').rglob('*_instance.png')):
        path.unlink()
    assert pair(root / 'images/train', root / 'labels/train').label_suffix == '_label.png'


def test_splits_by_other_names(root):
    for split in ('train', 'valid', 'test'):
        write(root, split)
    cfg, _ = make(root)
    folders = [cfg[f'{p}_dataloader'].dataset.data_prefix.img_path for p in ('val', 'test')]
    assert folders == ['images/valid', 'images/test']
    for path in (root / 'labels/test').iterdir():
        path.unlink()
    (root / 'labels/test').rmdir()  # a test split without label maps
    cfg, _ = make(root)
    assert cfg.test_dataloader.dataset.data_prefix.img_path == 'images/valid'


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('\ufeffbackground\r\ncat\r\n', ('background', 'cat')),
        ('0: background\n1: cat\n', ('background', 'cat')),
        ('0\n1\n', ('0', '1')),
    ],
)
def test_lists_of_classes(root, text, names):
    both(root)
    (root / 'classes.txt').write_bytes(text.encode())
    assert make(root)[0].train_dataloader.dataset.metainfo.classes == names


def test_labels_that_begin_at_1_are_named(root):
    both(root)
    for path in root.rglob('labels/*/*.png'):
        Image.fromarray(np.array(Image.open(path)) + 1).save(path)
    with pytest.raises(ValueError, match='--label-map 1=0 2=1'):
        make(root)
    assert_red_is_one(trained_on(make(root, '--label-map', '1=0', '2=1')[0]))


def test_a_name_that_stands_twice_is_refused(root):
    both(root)
    with pytest.raises(ValueError, match='cat'):
        make(root, classes='cat\ncat\n')


def test_check_data_and_the_look_before_training_say_the_same(root, capsys):
    both(root)
    cfg, _ = make(root)
    cfg.dump(root / 'c.py')
    for path in (root / 'labels/train').iterdir():  # the user writes them again
        labels = np.array(Image.open(path))
        Image.fromarray(labels * 255).save(path)
    out = root / 'found.json'
    with pytest.raises(SystemExit) as exit_:
        check_data.main([str(root / 'c.py'), '--out', str(out), '--workers', '1'])
    assert exit_.value.code == 1
    found = json.loads(out.read_text())
    assert [entry['kind'] for entry in found['train']] == ['class without pixels']
    assert found['val'] == []
    (dataset,) = build_leaf_datasets(cfg, ['train'])['train']
    with pytest.raises(ValueError, match='cat'):
        check_label_maps(dataset, is_training=True)


@pytest.mark.parametrize(
    ('changed', 'is_read'),
    [({}, True), ({'backend_args': {'backend': 'local'}}, False), ({'label_map': {0: 1}}, False)],
)
def test_label_maps_that_others_read_or_map_are_left_to_them(root, changed, is_read):
    both(root)
    cfg, _ = make(root)
    (dataset,) = build_leaf_datasets(cfg, ['train'])['train']
    vars(dataset).update(changed)
    for path in (root / 'labels/train').iterdir():
        Image.fromarray(np.full((40, 60), 9, np.uint8)).save(path)
    if is_read:
        with pytest.raises(ValueError, match=r'\b9\b'):
            check_label_maps(dataset, is_training=True)
    else:
        assert check_label_maps(dataset, is_training=True) == []


def test_findings_name_place_count_and_remedy():
    files = {0: ['a', 'b'], 7: ['b'], 255: ['a']}
    first, second = find_in_labels(files, ('x', 'y', 'z'), 'labels', is_training=True)
    assert (first.kind, second.kind) == ('label out of range', 'class without pixels')
    assert re.search(r'\b1\b.*\b7\b.*\b0\b.*\b2\b.*\(b\).*--label-map', first.text)
    assert '1 (y), 2 (z)' in second.text
    assert find_in_labels({0: ['a']}, ('x', 'y'), 'p', is_training=True, is_whole=False) == []


def test_labels_are_counted_as_mmsegmentation_reads_them(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(np.array([[0, 3, 3, 255]], np.uint8)).save(path)
    assert labels_in(path) == {0: 1, 3: 2, 255: 1}


@pytest.mark.parametrize('text', ['255', '255=', '=1', '300=1', '1=300', '-1=1', 'a=b'])
def test_bad_label_maps_of_the_command_line(text):
    with pytest.raises(ValueError, match='--label-map'):
        parse_label_map([text])
    with pytest.raises(ValueError, match=r'--label-map.*\b1\b'):
        parse_label_map(['1=2', '1=3'])


RED_FIRST = [0, 0, 0, 255, 0, 0, 0, 255, 0]
GREEN_FIRST = [0, 0, 0, 0, 255, 0, 255, 0, 0]


@pytest.mark.parametrize(
    ('palettes', 'is_wrong'),
    [
        ([RED_FIRST, RED_FIRST], False),
        ([RED_FIRST, GREEN_FIRST], True),
        ([RED_FIRST, None], False),
        ([RED_FIRST, [0, 0, 0, 1, 1, 1, 2, 2, 2]], False),  # grey, as of no palette
        ([RED_FIRST, [*RED_FIRST[:6], 9, 9, 9]], False),  # of a label that is not used
    ],
)
def test_a_label_with_another_colour_in_another_file_is_an_error(root, palettes, is_wrong):
    both(root)
    for path, palette in zip(sorted((root / 'labels/train').iterdir()), palettes, strict=True):
        image = Image.open(path)
        if palette:
            image = Image.fromarray(np.array(image), mode='P')
            image.putpalette(palette)
        image.save(path)
    cfg, _ = make(root) if not is_wrong else (None, None)
    if is_wrong:
        with pytest.raises(ValueError, match=r'label 1 .*\(255, 0, 0\).*\(0, 255, 0\)'):
            make(root)
    else:
        (dataset,) = build_leaf_datasets(cfg, ['train'])['train']
        assert check_label_maps(dataset, is_training=True) == []


@pytest.mark.parametrize('size', [(40, 60), (60, 40)])
def test_a_label_map_has_the_size_of_the_image_as_exif_turns_it(tmp_path, size):
    """Label maps are read as they are stored; images are turned."""
    image, labels = tmp_path / 'a.jpg', tmp_path / 'a.png'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(image, exif=exif.tobytes())
    Image.fromarray(np.zeros(size, np.uint8)).save(labels)
    assert cv2.imread(str(image)).shape[:2] == (60, 40)
    if size == (60, 40):
        check_size(image, labels)
    else:
        with pytest.raises(ValueError, match=r'60x40 pixels.*40x60, as EXIF'):
            check_size(image, labels)


@pytest.mark.parametrize(
    ('pixels', 'text'),
    [
        (np.float32([[0, 0.9]]), r'holds 0\.9'),
        (np.float32([[0, np.nan]]), 'holds nan'),
        (np.int32([[0, -2]]), 'holds -2'),
        (np.uint16([[0, 1001]]), 'holds 1001'),
    ],
)
def test_numbers_that_are_no_labels(tmp_path, pixels, text):
    Image.fromarray(pixels).save(tmp_path / 'a.tif')
    with pytest.raises(ValueError, match=f'{text}.*whole numbers'):
        read_label_map(tmp_path / 'a.tif')


@pytest.mark.parametrize('size', [(60, 40), (30, 20)])
def test_label_maps_of_several_pages(tmp_path, size):
    """A page per class would be lost; smaller pages are previews."""
    page = Image.fromarray(np.eye(40, 60, dtype=np.uint8))
    page.save(tmp_path / 'a.tif', save_all=True, append_images=[page.resize(size)])
    if size == page.size:
        with pytest.raises(ValueError, match='several pages'):
            read_label_map(tmp_path / 'a.tif')
    else:
        np.testing.assert_equal(read_label_map(tmp_path / 'a.tif'), np.eye(40, 60))
