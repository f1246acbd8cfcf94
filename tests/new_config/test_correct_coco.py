"""COCO files as tools export them: every box of the config that is made fits what lies under it."""

import copy
import json
from pathlib import Path

import numpy as np
import pycocotools.mask
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.conftest import ROOT
from tnt_backbone.cli import check_data
from tnt_backbone.cli.new_config import convert, find_config, parse_args
from tnt_backbone.data_checks.coco import find_in_annotations, find_in_orders, read_file
from tnt_backbone.data_checks.coco_file import forget_coco_files
from tnt_backbone.data_checks.datasets import build_leaf_datasets
from tnt_backbone.new_config.correct_coco import correct_coco

COLOURS = {'cat': (220, 40, 40), 'dog': (40, 200, 40), 'bird': (40, 40, 220)}
BOXES = ROOT / 'configs/retinanet_tnt_s_coco.py'
MASKS = ROOT / 'configs/mask_rcnn_tnt_s_coco.py'


def make(root, folder='images', *, names=('cat', 'dog'), number=4, size=(96, 64), seed=0):
    """Write grey images with two coloured rectangles each; return COCO's dict."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    width, height = size
    content = {
        'images': [],
        'annotations': [],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(names, 1)],
    }
    for i in range(number):
        pixels = rng.integers(90, 130, (height, width, 3), dtype=np.uint8)
        content['images'].append(
            {'id': i + 1, 'file_name': f'{i:03d}.png', 'width': width, 'height': height}
        )
        for k in range(2):
            w, h = (int(value) for value in rng.integers(14, 22, 2))
            # side by side, so that none hides another
            x = int(rng.integers(0, width // 2 - w)) + k * width // 2
            y = int(rng.integers(0, height - h))
            name = names[(i + k) % len(names)]
            pixels[y : y + h, x : x + w] = COLOURS[name]
            content['annotations'].append(
                {
                    'id': len(content['annotations']) + 1,
                    'image_id': i + 1,
                    'category_id': names.index(name) + 1,
                    'bbox': [x, y, w, h],
                    'area': w * h,
                    'iscrowd': 0,
                    'segmentation': [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
        Image.fromarray(pixels).save(root / folder / f'{i:03d}.png')
    return content


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def configure(train, *options, config=BOXES):
    """Return the config that new_config makes, and what it says."""
    forget_coco_files()
    args = parse_args(
        [str(train.parent / 'c.py'), '--from', str(config), '--data', str(train), *options]
    )
    cfg, changes = convert(args, find_config(args.source))
    return cfg, '\n'.join(changes)


def assert_boxes_fit(cfg, phase='train', boxes=8):
    """Compare each box that MMDetection's own data set gives with the colour in the image."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build({**cfg[f'{phase}_dataloader'].dataset, 'pipeline': []})
    names, seen = dataset.metainfo['classes'], 0
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        pixels = np.asarray(Image.open(info['img_path']).convert('RGB')).astype(int)
        for instance in info['instances']:
            x1, y1, x2, y2 = (round(value) for value in instance['bbox'])
            inside = pixels[y1:y2, x1:x2].reshape(-1, 3)
            colour = COLOURS[names[instance['bbox_label']]]
            assert (abs(inside - colour) < 10).all(), (info['img_path'], instance)
            seen += 1
    assert seen == boxes


def assert_perfect(path):
    """Measure the truth as predictions: COCO's AP must be 1."""
    truth = COCO(str(path))
    results = [
        {key: entry[key] for key in ('image_id', 'category_id', 'bbox')} | {'score': 0.9}
        for entry in truth.dataset['annotations']
    ]
    evaluation = COCOeval(truth, truth.loadRes(results), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def no_iscrowd(content):
    for entry in content['annotations']:
        del entry['iscrowd']


def ids_from_0(content):
    for number, entry in enumerate(content['annotations']):
        entry['id'] = number


def ids_as_texts(content):
    for number, entry in enumerate(content['annotations']):
        entry['id'] = f'a{number}-4f2e'


def repeated(content):
    content['annotations'] += [{**box, 'id': box['id'] + 100} for box in content['annotations'][:3]]


def lvis(content):
    for image in content['images']:
        image['coco_url'] = f'http://images.cocodataset.org/images/{image.pop("file_name")}'


def image_ids_as_texts(content):
    for entry in content['annotations']:
        entry['image_id'] = str(entry['image_id'])


def category_ids_as_texts(content):
    for entry in content['annotations']:
        entry['category_id'] = str(entry['category_id'])


def names_as_category_ids(content):
    names = {category['id']: category['name'] for category in content['categories']}
    for entry in content['annotations']:
        entry['category_id'] = names[entry['category_id']]


def image_ids_as_numbers(content):
    for image in content['images']:
        image['id'] = str(image['id'])


def no_area(content):
    for entry in content['annotations']:
        del entry['area']


def no_box(content):
    for entry, value in zip(content['annotations'], [None, [], 'x'] * 3, strict=False):
        entry['bbox'] = value
    del content['annotations'][-1]['bbox']


def area_0(content):
    for entry, area in zip(content['annotations'], [0, -1, 0.0] * 3, strict=False):
        entry['area'] = area


def boxes_of_zeros(content):
    for entry in content['annotations']:
        entry['bbox'] = [0, 0, 0, 0]


def rle(entry, content, *, is_compressed=True):
    image = next(i for i in content['images'] if i['id'] == entry['image_id'])
    size = image['height'], image['width']
    mask = coco_mask.decode(coco_mask.frPyObjects(entry['segmentation'], *size)[0])
    if is_compressed:
        found = coco_mask.encode(np.asfortranarray(mask))
        return {'size': list(size), 'counts': found['counts'].decode()}
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, len(flat)]).tolist()
    return {'size': list(size), 'counts': [0, *counts] if flat[0] else counts}


def no_box_beside_rle(content):
    for number, entry in enumerate(content['annotations']):
        entry['segmentation'] = rle(entry, content, is_compressed=number % 2 == 0)
        entry['bbox'] = None


def rle_in_a_list(content):
    for entry in content['annotations']:
        entry['segmentation'] = [rle(entry, content)]


def rle_of_python(content):
    for entry in content['annotations']:
        found = rle(entry, content)
        entry['segmentation'] = {**found, 'counts': str(found['counts'].encode())}


def boxes_as_texts(content):
    for entry in content['annotations']:
        entry['bbox'] = [str(value) for value in entry['bbox']]


def backslashes(content):
    for image in content['images']:
        image['file_name'] = f'images\\{image["file_name"]}'


def label_studio_upload(content):
    for number, image in enumerate(content['images']):
        place = ('../../label-studio/data/media', '/label-studio/data/media', '/data')[number % 3]
        image['file_name'] = f'{place}/upload/1/{image["file_name"]}'


def label_studio_local(content):
    for image in content['images']:
        image['file_name'] = f'/data/local-files/?d=some%20set%2Fimages%2F{image["file_name"]}'


def flat_polygons(content):
    for entry in content['annotations']:
        entry['segmentation'] = entry['segmentation'][0]


def images_twice(content):
    content['images'] += [{**image, 'id': image['id'] + 100} for image in content['images']]
    for entry in content['annotations']:
        if entry['category_id'] == 2:
            entry['image_id'] += 100


def a_category_that_groups(content):
    for category in content['categories']:
        category['supercategory'] = 'animals'
    content['categories'].insert(0, {'id': 0, 'name': 'animals', 'supercategory': 'none'})


def a_category_of_the_same_name(content):
    content['categories'].insert(0, {'id': 0, 'name': 'cat', 'supercategory': 'none'})


def a_category_twice(content):
    content['categories'].append(dict(content['categories'][1]))


def rotated(content):
    """CVAT's rectangles that were turned upright by 90 degrees: the box is that before."""
    for entry in content['annotations']:
        x, y, w, h = entry['bbox']
        entry['bbox'] = [x + (w - h) / 2, y + (h - w) / 2, h, w]
        entry['attributes'] = {'occluded': False, 'rotation': 90.0}
        entry['segmentation'] = []


def no_sizes(content):
    """Label Studio writes null, VIA 3 writes -1."""
    sides = (None, -1, 0, 'x')
    for image, side in zip(content['images'], sides, strict=True):
        image.update(width=side, height=side)
    del content['images'][0]['width']


def nothing(content):
    pass


def no_info(content):
    content['licenses'] = []


def floats(content):
    for entry in content['annotations']:
        entry.update({key: float(entry[key]) for key in ('id', 'image_id', 'category_id')})


def texts_of_images(content):
    for image in content['images']:
        image['id'] = f'img-{image["id"]}'
    for entry in content['annotations']:
        entry['image_id'] = f'img-{entry["image_id"]}'


CORRECTED = [
    no_iscrowd, ids_from_0, ids_as_texts, image_ids_as_texts, category_ids_as_texts,
    names_as_category_ids,
    image_ids_as_numbers, no_area, area_0, no_box, boxes_of_zeros, no_box_beside_rle, rle_in_a_list,
    rle_of_python, label_studio_upload, label_studio_local, boxes_as_texts, backslashes,
    flat_polygons, images_twice, repeated, lvis,
    a_category_that_groups, a_category_of_the_same_name, a_category_twice, rotated,
    no_sizes,
]  # fmt: skip
RIGHT = [nothing, no_info, floats, texts_of_images]


@pytest.mark.parametrize('spoil', [*CORRECTED, *RIGHT], ids=lambda spoil: spoil.__name__)
def test_boxes_fit_and_the_truth_is_perfect(tmp_path, spoil):
    content = make(tmp_path)
    spoil(content)
    path = write(tmp_path / 'all.json', content)
    before = path.read_bytes()
    cfg, said = configure(path)
    used = cfg.train_dataloader.dataset.ann_file
    assert path.read_bytes() == before
    assert used.endswith('all_corrected.json' if spoil in CORRECTED else 'all.json')
    assert ('all_corrected.json' in said) == (spoil in CORRECTED)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cat', 'dog')
    for phase in ('train', 'val'):
        assert_boxes_fit(cfg, phase)
    assert_perfect(cfg.val_evaluator.ann_file)
    # a second call finds nothing to correct
    again, said = configure(tmp_path / used.rpartition('/')[2])
    assert again.train_dataloader.dataset.ann_file == used
    assert 'note:' not in said


def test_a_mark_of_windows(tmp_path):
    path = write(tmp_path / 'all.json', make(tmp_path))
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    cfg, _ = configure(path)
    assert_boxes_fit(cfg)


@pytest.mark.parametrize('names', [('bird', 'cat', 'dog'), ('dog', 'bird')])
def test_a_validation_file_gets_the_categories_of_training(tmp_path, names):
    train = make(tmp_path, names=('cat', 'dog', 'bird'), number=6)
    val = copy.deepcopy(train)
    by_name = {category['name']: category for category in val['categories']}
    val['categories'] = [by_name[name] for name in names]
    ids = {by_name[name]['id'] for name in names}
    val['annotations'] = [e for e in val['annotations'] if e['category_id'] in ids]
    paths = write(tmp_path / 'train.json', train), write(tmp_path / 'val.json', val)
    cfg, said = configure(paths[0], '--val-data', str(paths[1]))
    assert 'val_corrected.json' in said
    assert_boxes_fit(cfg, 'train', 12)
    assert_boxes_fit(cfg, 'val', len(val['annotations']))

    # by hand: the look before training and check_data refuse it
    if len(names) == 3:
        cfg.val_dataloader.dataset.ann_file = cfg.val_evaluator.ann_file = str(paths[1])
        cfg.dump(tmp_path / 'hand.py')
        leaves = [
            leaf for found in build_leaf_datasets(cfg, ('train', 'val')).values() for leaf in found
        ]
        (finding,) = find_in_orders((leaf, read_file(leaf)) for leaf in leaves)
        assert finding.is_error
        with pytest.raises(SystemExit) as exit_:
            check_data.main([str(tmp_path / 'hand.py'), '--workers', '1'])
        assert exit_.value.code == 1


def all_crowds_of_a_class(content):
    for entry in content['annotations']:
        entry['iscrowd'] = int(entry['category_id'] == 2)


def corners(content):
    for entry in content['annotations']:
        x, y, w, h = entry['bbox']
        entry['bbox'] = [x, y, x + w, y + h]


def one_point(content):
    content['annotations'][0]['segmentation'] = [[10, 10]]


def odd(content):
    content['annotations'][0]['segmentation'] = [[10, 10, 30, 10, 30, 30, 5]]


def a_text(content):
    content['annotations'][0]['segmentation'] = '10,10,30,10,30,30'


def rle_of_another_size(content):
    mask = np.asfortranarray(np.ones((32, 48), np.uint8))
    rle = pycocotools.mask.encode(mask)
    content['annotations'][0]['segmentation'] = {**rle, 'counts': rle['counts'].decode()}


def no_image_id(content):
    del content['annotations'][0]['image_id']


def an_id_of_two_categories(content):
    """As VIA 3 writes the values of two attributes."""
    content['categories'].append({'id': 1, 'name': 'fresh', 'supercategory': 'state'})


def corners_by_masks(content):
    """Near the left upper corner, where they stay inside."""
    for entry in content['annotations']:
        entry.update(bbox=[9, 9, 19, 21], segmentation=[[9, 9, 19, 9, 19, 21, 9, 21]], area=99)


def masks_as_shares(content):
    for entry in content['annotations']:
        points = np.reshape(entry['segmentation'][0], (-1, 2)) / (96, 64)
        entry['segmentation'] = [points.ravel().tolist()]


def masks_with_y_first(content):
    for entry in content['annotations']:
        entry['segmentation'] = [
            np.reshape(entry['segmentation'][0], (-1, 2))[:, ::-1].ravel().tolist()
        ]


def runs_along_rows(content):
    for entry in content['annotations']:
        flat = coco_mask.decode(rle(entry, content)).reshape(-1)
        changes = np.flatnonzero(np.diff(flat)) + 1
        entry['segmentation'] = {
            'size': [64, 96],
            'counts': [0] * int(flat[0]) + np.diff([0, *changes, len(flat)]).tolist(),
        }


REFUSED = {
    an_id_of_two_categories: 'ids of "categories" occur more than once',
    corners_by_masks: r'fit their masks only as \[x1, y1, x2, y2\]',
    masks_as_shares: 'fit their masks',
    masks_with_y_first: 'fit their masks',
    runs_along_rows: 'fit their masks',
    all_crowds_of_a_class: 'dog',
    corners: 'x1, y1, x2, y2',
    one_point: 'segmentation',
    odd: 'segmentation',
    a_text: 'segmentation',
    rle_of_another_size: 'segmentation',
    no_image_id: 'image_id',
}


@pytest.mark.parametrize('spoil', REFUSED, ids=lambda spoil: spoil.__name__)
def test_what_could_be_meant_otherwise_is_refused(tmp_path, spoil):
    content = make(tmp_path)
    spoil(content)
    with pytest.raises(ValueError, match=REFUSED[spoil]) as refused:
        configure(write(tmp_path / 'all.json', content), config=MASKS)
    assert 'tnt new' not in str(refused.value)  # which is what says it


@pytest.mark.parametrize('spoil', [masks_as_shares, masks_with_y_first, runs_along_rows])
def test_masks_do_not_matter_to_a_detector_of_boxes(tmp_path, spoil):
    content = make(tmp_path)
    spoil(content)
    cfg, said = configure(write(tmp_path / 'all.json', content))
    assert_boxes_fit(cfg)
    assert 'fit their masks' in said


def test_masks_of_the_right_kinds_pass(tmp_path):
    content = make(tmp_path)
    mask = np.zeros((64, 96), np.uint8)
    x, y, w, h = content['annotations'][0]['bbox']
    mask[y : y + h, x : x + w] = 1
    rle = pycocotools.mask.encode(np.asfortranarray(mask))
    content['annotations'][0]['segmentation'] = {**rle, 'counts': rle['counts'].decode()}
    cfg, said = configure(write(tmp_path / 'all.json', content), config=MASKS)
    assert_boxes_fit(cfg)
    assert 'corrected' not in said


def test_images_of_training_and_validation_have_the_same_names(tmp_path):
    train, val = make(tmp_path, 'train', seed=1), make(tmp_path, 'val', number=3, seed=2)
    folder = tmp_path / 'annotations'
    paths = write(folder / 'train.json', train), write(folder / 'val.json', val)
    cfg, said = configure(paths[0], '--val-data', str(paths[1]))
    assert_boxes_fit(cfg, 'train')
    assert_boxes_fit(cfg, 'val', 6)
    assert 'are also in the training split' not in said


def test_images_in_two_splits_are_named(tmp_path):
    content = make(tmp_path)
    val = {**content, 'images': content['images'][1:3]}
    ids = {image['id'] for image in val['images']}
    val['annotations'] = [box for box in content['annotations'] if box['image_id'] in ids]
    paths = write(tmp_path / 'train.json', content), write(tmp_path / 'val.json', val)
    _, said = configure(paths[0], '--val-data', str(paths[1]))
    assert '2 of 2 images of the val split are also in the training split' in said
    assert 'images/001.png' in said


def test_images_below_images(tmp_path):
    train = make(tmp_path, 'images/train', seed=1)
    val = make(tmp_path, 'images/val', number=3, seed=2)
    folder = tmp_path / 'annotations'
    paths = write(folder / 'a.json', train), write(folder / 'b.json', val)
    with pytest.raises(ValueError, match='--val-images'):
        configure(paths[0], '--val-data', str(paths[1]))
    options = ('--images', str(tmp_path / 'images/train'))
    options += ('--val-images', str(tmp_path / 'images/val'))
    cfg, _ = configure(paths[0], '--val-data', str(paths[1]), *options)
    assert_boxes_fit(cfg, 'val', 6)
    wrong = ('--images', str(tmp_path / 'images/val'))
    with pytest.raises(FileNotFoundError, match='--images'):
        configure(paths[0], *wrong)


def test_a_folder_of_other_pictures_with_the_same_names(tmp_path):
    make(tmp_path, 'depth', seed=9)
    path = write(tmp_path / 'all.json', make(tmp_path, 'rgb'))
    with pytest.raises(ValueError, match=r'depth.*rgb.*--images'):
        configure(path)
    make(tmp_path, 'depth', size=(48, 32), seed=9)  # thumbnails: the sizes do not fit
    cfg, _ = configure(path)
    assert_boxes_fit(cfg)


def test_small_images_are_told_before_the_run(tmp_path):
    path = write(tmp_path / 'all.json', make(tmp_path, size=(48, 30)))
    with pytest.raises(ValueError, match='min_size=32'):
        configure(path)


def test_each_look_says_the_same_of_a_file_that_was_not_corrected(tmp_path):
    cfg, _ = configure(write(tmp_path / 'all.json', make(tmp_path)))
    for spoil in (no_iscrowd, ids_from_0, images_twice, corners, all_crowds_of_a_class, rotated):
        content = make(tmp_path)
        spoil(content)
        write(tmp_path / 'all.json', content)
        forget_coco_files()
        found = [
            finding.kind
            for leaves in build_leaf_datasets(cfg, ('train', 'val')).values()
            for leaf in leaves
            for finding in find_in_annotations(leaf, read_file(leaf))
            if finding.is_error
        ]
        assert found, spoil.__name__


def test_a_copy_that_cannot_be_written_says_how_to_go_on(tmp_path, monkeypatch):
    path = tmp_path / 'all.json'
    content = {
        'images': [{'id': 1, 'file_name': 'a\\b.png', 'width': 9, 'height': 9}],
        'annotations': [],
        'categories': [{'id': 1, 'name': 'cat'}],
    }
    path.write_text(json.dumps(content))

    def refuse(self, *args, **kwargs):
        raise PermissionError('read only')

    monkeypatch.setattr(Path, 'write_bytes', refuse)
    with pytest.raises(ValueError, match=r'all\.json.*read only.*--data.*--images'):
        correct_coco(path)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (['1', '2', '3'], [0, 1, 2]),  # "3" is a name and no id, so all are names
        (['0', '1', '2'], [0, 1, 2]),  # "0" is an id and no name, so all are ids
        ([1, 2, 3], [1, 2, 3]),  # numbers are no names; 3 is refused later
    ],
)
def test_names_that_are_numbers_are_not_mixed_with_ids(tmp_path, given, expected):
    box = {'image_id': 1, 'bbox': [1, 1, 4, 4], 'area': 16, 'iscrowd': 0}
    content = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 8, 'height': 8}],
        'categories': [{'id': i, 'name': str(i + 1)} for i in range(3)],
        'annotations': [{**box, 'id': i, 'category_id': c} for i, c in enumerate(given, 1)],
    }
    path, _ = correct_coco(write(tmp_path / 'all.json', content))
    found = [entry['category_id'] for entry in json.loads(path.read_text())['annotations']]
    assert found == expected


def test_pictures_of_one_name_and_other_sizes_are_not_joined(tmp_path):
    root = tmp_path / 'own'
    content = make(root, '.', number=2)
    (first, second) = content['images']
    second |= {'file_name': first['file_name'], 'width': first['width'] + 2}
    write(root / 'all.json', content)
    with pytest.raises(ValueError, match=first['file_name']):
        configure(root)


def test_names_of_categories_that_are_nearly_the_same_are_said(tmp_path):
    content = make(tmp_path / 'own', names=('cat', 'dog'))
    content['categories'] += [{'id': 3, 'name': 'Cat '}, {'id': 4, 'name': ''}]
    for box in content['annotations'][:2]:
        box['category_id'] += 2
    cfg, said = configure(write(tmp_path / 'own/all.json', content))
    assert cfg.train_dataloader.dataset.metainfo['classes'] == ('cat', 'dog', 'Cat ', '')
    assert 'are counted apart: Cat , cat' in said
    assert 'class 3 of 4 has an empty name' in said
    lines = said.splitlines()
    assert len(set(lines)) == len(lines)


def test_images_that_are_missing_are_named(tmp_path):
    file = write(tmp_path / 'own/all.json', make(tmp_path / 'own'))
    (tmp_path / 'own/images/002.png').unlink()
    text = r'1 of 4 images of .*all\.json are not in .*own/images, which has the others: 002\.png'
    with pytest.raises(FileNotFoundError, match=text):
        configure(file)
    for name in ('000.png', '001.png'):
        (tmp_path / 'own/images' / name).unlink()
    with pytest.raises(FileNotFoundError, match=r'No folder beside .* holds its 4 images'):
        configure(file)
