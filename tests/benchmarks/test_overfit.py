"""Recipes that learn a few pictures by heart: the pictures, and the shortened schedules."""

import json

import cv2
import numpy as np
import overfit
import overfit_data
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, DefaultScope
from mmseg.structures import SegDataSample
from overfit_config import make_config
from overfit_recipes import RECIPES


@pytest.fixture
def coco(tmp_path):
    """Two pictures of 640 x 480 with an object of 160 x 240, and one whose object is too small."""
    root = tmp_path / 'data/coco'
    (root / 'train2017').mkdir(parents=True)
    (root / 'annotations').mkdir()
    images, annotations = [], []
    for i, side in enumerate((240, 20, 240)):
        picture = np.zeros((480, 640, 3), np.uint8)
        picture[80 : 80 + side, 320:480] = 255
        cv2.imwrite(str(root / f'train2017/{i}.png'), picture)
        images.append(dict(id=i, file_name=f'{i}.png', width=640, height=480))
        annotations.append(
            dict(
                id=i + 1,
                image_id=i,
                category_id=1,
                bbox=[320, 80, 160, side],
                area=160 * side,
                iscrowd=0,
                segmentation=[[320, 80, 480, 80, 480, 80 + side]],
            )
        )
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
    (root / 'annotations/instances_train2017.json').write_text(json.dumps(content))
    return tmp_path / 'data'


def test_boxes_are_resized_with_the_pictures(coco, tmp_path):
    out = tmp_path / 'out'
    overfit_data.make('coco', coco, out)
    content = json.loads((out / 'instances.json').read_text())
    assert [image['id'] for image in content['images']] == [0, 2]
    assert (content['images'][0]['width'], content['images'][0]['height']) == (256, 192)
    entry = content['annotations'][1]
    assert entry['bbox'] == [128, 32, 64, 96]
    assert entry['area'] == pytest.approx(64 * 96)
    assert entry['segmentation'] == [[128, 32, 192, 32, 192, 128]]
    picture = cv2.imread(str(out / '2.png'))[..., 0]
    expected = np.zeros((192, 256), np.uint8)
    expected[32:128, 128:192] = 255
    assert np.abs(picture.astype(int) - expected).mean() < 1
    (out / 'instances.json').write_text('kept')
    overfit_data.make('coco', coco, out)
    assert (out / 'instances.json').read_text() == 'kept'


def test_data_that_is_missing_is_named_before_the_first_run(coco, capsys):
    folder = ['--data', str(coco)]
    assert overfit.parse_args([*folder, '--only', 'RetinaNet', 'DETR']).only
    with pytest.raises(SystemExit) as ended:
        overfit.parse_args([*folder, '--only', 'RetinaNet', 'Segmenter'])
    assert ended.value.code == 2
    assert 'ade/ADEChallengeData2016/images' in capsys.readouterr().err
    assert overfit.parse_args(['--list'])


def test_label_maps_keep_their_values(tmp_path):
    root = tmp_path / 'data/ade/ADEChallengeData2016'
    for folder in ('images/training', 'annotations/training'):
        (root / folder).mkdir(parents=True)
    labels = np.zeros((300, 512), np.uint8)
    labels[:150] = 150
    cv2.imwrite(str(root / 'annotations/training/a.png'), labels)
    cv2.imwrite(str(root / 'images/training/a.jpg'), labels)
    out = tmp_path / 'out'
    overfit_data.make('ade', tmp_path / 'data', out)
    small = cv2.imread(str(out / 'annotations/a.png'), cv2.IMREAD_UNCHANGED)
    assert small.shape == (150, 256)
    assert set(np.unique(small)) == {0, 150}
    assert (small == 150).sum() == 75 * 256


def rates(cfg, whole):
    """Return the learning rate in each of some steps; a scheduler of epochs moves once an epoch."""
    model = torch.nn.Linear(1, 1)
    cfg.optim_wrapper.pop('paramwise_cfg', None)
    cfg.optim_wrapper.pop('constructor', None)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(scheduler, optimizer=optimizer))
        for scheduler in cfg.param_scheduler
    ]
    found = []
    for _ in range(whole):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return np.array(found)


@pytest.mark.parametrize(
    ('name', 'rate', 'at'),
    [
        # rate after 1/3 of the schedule, at 70 %, and at the end, in the published shape
        ('RetinaNet', 1e-4, [(0.33, 1), (0.7, 0.1), (0.95, 0.01)]),
        ('DETR', 1e-4, [(0.33, 1), (0.64, 1), (0.7, 0.1), (0.95, 0.1)]),
        ('Semantic FPN', 1e-4, [(0.5, 0.5**0.9), (0.9, 0.1**0.9)]),
        ('Segmenter', 6e-5, [(0.5, 0.5), (0.9, 0.1)]),
        ('TNT classification', 1e-3, [(0.5, 0.48), (0.99, 0.01)]),
        ('Deformable DETR', 2e-4, [(0.79, 1), (0.82, 0.1)]),
    ],
)
def test_a_schedule_keeps_its_shape(name, rate, at, tmp_path):
    recipe = RECIPES[name]
    cfg = make_config(recipe, tmp_path)
    assert cfg.train_cfg.max_iters == recipe.steps
    found = rates(cfg, recipe.steps)
    for place, share in at:
        wanted = rate * recipe.rate * share
        assert found[int(place * recipe.steps)] == pytest.approx(wanted, rel=0.06)


@pytest.mark.parametrize('name', RECIPES)
def test_what_is_trained_is_what_is_tested(name, tmp_path):
    recipe = RECIPES[name]
    cfg = make_config(recipe, tmp_path)
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    for key in ('ann_file', 'data_prefix', 'data_root'):
        assert train.get(key) == test.get(key)
    assert cfg.train_dataloader.batch_size == recipe.batch
    if recipe.data == 'ade':
        with DefaultScope.overwrite_default_scope('mmseg'):
            preprocessor = MODELS.build(cfg.model.data_preprocessor)
        batch = {'inputs': [torch.zeros(3, 200, 256)], 'data_samples': [SegDataSample()]}
        assert preprocessor(batch, training=False)['inputs'].shape[2:] == (256, 256)
    random = ('Flip', 'Random', 'Distortion', 'Crop')
    kinds = [step.type for step in train.pipeline]
    assert [kind for kind in kinds if any(word in kind for word in random)] in ([], ['CenterCrop'])
    assert cfg.model.backbone.drop_path_rate == 0
    assert cfg.model.backbone.get('init_cfg') is None or recipe.data == 'imagenet'
