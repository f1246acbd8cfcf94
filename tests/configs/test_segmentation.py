"""configs/*_ade20k.py and *_cityscapes.py: recipes, a step of each, runs on generated images."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from tnt_backbone.run.pretrained import drop_pretrained, pretrained_checkpoints
from tnt_backbone.variants import PYRAMID_TNT_VARIANTS, T2T_VIT_VARIANTS, TNT_VARIANTS

CONFIGS = Path(__file__).parents[2] / 'configs'
ROOT = CONFIGS.parent
NAMES = sorted(
    path.stem for data in ('ade20k', 'cityscapes') for path in CONFIGS.glob(f'*_{data}.py')
)
# head: learning rate, weight decay, iterations, how it is tested
RECIPES = {
    'trans2seg': (1e-4, 1e-4, 40000, 'whole'),
    'fpn': (1e-4, 1e-4, 80000, 'whole'),
    'upernet': (6e-5, 0.01, 160000, 'slide'),
    'segmenter': (6e-5, 0.01, 160000, 'slide'),
    'mask2former': (1e-4, 0.05, 160000, 'whole'),
}
WEIGHTS = {
    'tnt_s': 'tnt://tnt_s',
    'tnt_b': 'tnt://tnt_b',
    'pyramid_tnt_s': 'tnt://pyramid_tnt_s',
    't2t_vit_14': 'tnt://t2t_vit_14',
}
HEAD_TABLES = {
    'trans2seg': {'pos_embed', 'class_embed'},
    'segmenter': {'cls_emb'},
    'mask2former': {
        'query_embed.weight',
        'query_feat.weight',
        'level_embed.weight',
        'pixel_decoder.level_encoding.weight',
    },
}
CROP = (64, 96)  # small stand-ins for 512 pixels


def read(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope(cfg.default_scope)
    return cfg


def head_of(name):
    return name.split('_')[0]


def backbone_of(name):
    return name.split('_', 1)[1].rsplit('_', 1)[0]


@pytest.fixture(autouse=True)
def own_scope():
    DefaultScope._instance_dict.clear()
    torch.manual_seed(0)
    np.random.seed(0)
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def labelled(size, num_classes):
    height, width = size
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0))
    labels = torch.randint(0, num_classes, (1, height // 8 + 1, width // 8 + 1))
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :height, :width]
    labels[:, :4] = 255  # ignored
    return SegDataSample(metainfo=meta, gt_sem_seg=PixelData(data=labels))


def batch(size, number, num_classes):
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in range(number)]
    return {'inputs': images, 'data_samples': [labelled(size, num_classes) for _ in range(number)]}


def spared_parameters(name, model):
    """Names of what should have no weight decay."""
    spared = {'backbone.cls_token', 'backbone.word_pos', 'backbone.sentence_pos'}
    spared |= {f'decode_head.{table}' for table in HEAD_TABLES.get(head_of(name), ())}
    norms = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
    for path, module in model.named_modules():
        if isinstance(module, norms):
            spared |= {f'{path}.weight', f'{path}.bias'}
    return {
        parameter
        for parameter, value in model.named_parameters()
        if value.requires_grad
        if parameter in spared or parameter.rsplit('.', 1)[-1].endswith('bias')
    }


def test_these_are_the_configs():
    assert len(NAMES) == 14
    for backbone in ('tnt_s', 'pyramid_tnt_s', 't2t_vit_14'):
        for head in ('fpn', 'upernet'):
            assert f'{head}_{backbone}_ade20k' in NAMES
        assert f'upernet_{backbone}_cityscapes' in NAMES


def test_recipe(name):
    cfg = read(name)
    lr, weight_decay, iterations, mode = RECIPES[head_of(name)]
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr) == ('AdamW', lr)
    assert optimizer.weight_decay == weight_decay
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == iterations
    assert cfg.param_scheduler[-1].type == 'PolyLR'
    assert cfg.param_scheduler[-1].power == (1.0 if lr == 6e-5 else 0.9)
    assert iterations % cfg.train_cfg.val_interval == 0
    # what is validated is saved in the same iteration
    assert cfg.train_cfg.val_interval % cfg.default_hooks.checkpoint.interval == 0
    assert 8 * cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 16

    crop = (512, 1024) if name.endswith('cityscapes') else (512, 512)
    classes = 19 if name.endswith('cityscapes') else 150
    assert cfg.model.decode_head.num_classes == classes
    assert cfg.model.get('auxiliary_head', {}).get('num_classes', classes) == classes
    assert cfg.model.data_preprocessor.size == crop
    (random_crop,) = (t for t in cfg.train_dataloader.dataset.pipeline if t.type == 'RandomCrop')
    assert random_crop.crop_size == crop
    assert cfg.model.test_cfg.mode == mode
    if mode == 'slide':
        assert cfg.model.test_cfg.crop_size == crop
        assert cfg.model.test_cfg.stride == tuple(round(side * 2 / 3) for side in crop)
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.tta_model.type == 'SegTTAModel'
    assert [resize.scale for resize in cfg.tta_pipeline[1].transforms[0]] == [
        (512 * i, cfg.val_dataloader.dataset.pipeline[1].scale[1] // 4 * i) for i in range(2, 8)
    ]


def test_backbone_pixels_and_weights(name):
    cfg = read(name)
    preprocessor, backbone = cfg.model.data_preprocessor, cfg.model.backbone
    assert preprocessor.bgr_to_rgb
    if 't2t_vit' in name:
        assert preprocessor.mean == [123.675, 116.28, 103.53]
        assert preprocessor.std == [58.395, 57.12, 57.375]
    else:
        assert preprocessor.mean == preprocessor.std == [127.5] * 3
    expected = WEIGHTS.get(backbone_of(name))
    assert list(pretrained_checkpoints(cfg).values()) == ([expected] if expected else [])
    assert backbone.get('norm_eval', False) == ('pyramid_tnt' in name)
    arch = backbone_of(name).split('_')[-1]
    if backbone.type == 'tnt_backbone.TNT':
        widths = {TNT_VARIANTS[arch].sentence_dims}
    elif backbone.type == 'tnt_backbone.PyramidTNT':
        widths = set(PYRAMID_TNT_VARIANTS[arch].sentence_dims)
    else:
        variant = T2T_VIT_VARIANTS[arch]
        widths = {variant.token_dims, variant.embed_dims}
    part = cfg.model.get('neck') or cfg.model.decode_head
    found = part.in_channels
    assert set(found if isinstance(found, list) else [found]) == widths


# Those that differ from others in the data or the variant are left to the slow tests, and what
# test_it_trains_and_is_tested_with_and_without_tta trains.
LEFT_OUT = (
    'cityscapes',
    '_tnt_b_',
    '_tnt_ti_',
    'upernet_tnt_s',
    'fpn_pyramid',
    'upernet_t2t',
    'mask2former',
)


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[pytest.mark.slow] * any(part in name for part in LEFT_OUT))
        for name in NAMES
    ],
    indirect=True,
)
def test_a_step_of_training_and_of_testing(name):
    """The real model, on small images."""
    cfg = read(name)
    drop_pretrained(cfg)
    classes = cfg.model.decode_head.num_classes
    cfg.model.data_preprocessor.size = CROP
    if cfg.model.test_cfg.mode == 'slide':
        cfg.model.test_cfg.update(crop_size=CROP, stride=(43, 64))
    if head_of(name) == 'mask2former':
        cfg.model.decode_head.train_cfg.num_points = 256  # of 12544
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    model.init_weights()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)

    model.train()
    data = model.data_preprocessor(batch(CROP, 2, classes), training=True)
    loss, logged = model.parse_losses(model(**data, mode='loss'))
    wrapper.backward(loss)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value).all() for value in logged.values())
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing, 'DistributedDataParallel would stop'
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)
    first = next(p for p in model.backbone.parameters() if p.requires_grad)
    before = first.detach().clone()
    assert first.grad.abs().max() > 0
    wrapper.step()
    assert not torch.equal(before, first)

    groups = wrapper.optimizer.param_groups
    decays = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    spared = {n for n, p in trained.items() if decays[id(p)] == 0.0}
    assert sorted(spared) == sorted(spared_parameters(name, model))
    rates = {id(p): group['lr'] for group in groups for p in group['params']}
    for parameter, value in trained.items():
        pretrained = parameter.startswith('backbone.') and '.pyramid.' not in parameter
        slow = pretrained and name.startswith('mask2former')
        full = cfg.optim_wrapper.optimizer.lr
        assert rates[id(value)] == pytest.approx(full / 10 if slow else full), parameter

    model.eval()
    size = (75, 131)  # odd, and more than one window
    (result,) = model.test_step(batch(size, 1, classes))
    assert result.pred_sem_seg.data.shape == (1, *size)
    assert result.seg_logits.data.shape == (classes, *size)
    assert torch.isfinite(result.seg_logits.data).all()
    assert 0 <= result.pred_sem_seg.data.min() <= result.pred_sem_seg.data.max() < classes


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def ade20k(tmp_path):
    """ADE20K as it is published: 3 and 2 images of 150 classes, of different sizes."""
    root, rng = tmp_path / 'ADEChallengeData2016', np.random.default_rng(0)
    for split, tag, number in (('training', 'train', 3), ('validation', 'val', 2)):
        for i in range(1, number + 1):
            height, width = 90 + 7 * i, 140 - 5 * i
            image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            labels = rng.integers(0, 151, (height // 30 + 1, width // 30 + 1), dtype=np.uint8)
            labels[0, 0] = 0  # 0 = other
            labels = labels.repeat(30, axis=0).repeat(30, axis=1)[:height, :width]
            file = f'ADE_{tag}_{i:08d}'
            write(root / 'images' / split / f'{file}.jpg', image)
            write(root / 'annotations' / split / f'{file}.png', labels)
    return root


def build_dataset(dataset, root):
    return DATASETS.build({**dataset, 'data_root': str(root)})


def test_ade20k_is_read_as_it_lies(ade20k):
    cfg = read('fpn_tnt_s_ade20k')
    train = build_dataset(cfg.train_dataloader.dataset, ade20k)
    val = build_dataset(cfg.val_dataloader.dataset, ade20k)
    assert (len(train), len(val), len(train.metainfo['classes'])) == (3, 2, 150)
    for sample in train:
        height, width = sample['inputs'].shape[1:]
        assert 256 <= min(height, width) <= max(height, width) <= 512  # the model pads it
        labels = sample['data_samples'].gt_sem_seg.data
        assert labels.shape == (1, height, width)
        assert {*labels.unique().tolist()} <= {*range(150), 255}
    for number, sample in enumerate(val, start=1):
        truth = cv2.imread(
            str(ade20k / f'annotations/validation/ADE_val_{number:08d}.png'), cv2.IMREAD_GRAYSCALE
        )
        labels = sample['data_samples'].gt_sem_seg.data[0].numpy()
        assert (labels == np.where(truth == 0, 255, truth.astype(int) - 1)).all()
        assert min(sample['inputs'].shape[1:]) == 512
    tta = Compose(cfg.tta_pipeline)
    versions = tta(val.get_data_info(0))
    assert len(versions['inputs']) == 12
    sides = [min(image.shape[1:]) for image in versions['inputs']]
    assert sides == [side for side in (256, 384, 512, 640, 768, 896) for _ in range(2)]
    flips = [sample.flip for sample in versions['data_samples']]
    assert flips == [False, True] * 6


def test_cityscapes_is_read_as_it_lies(tmp_path):
    cfg = read('upernet_tnt_s_cityscapes')
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for city in ('aachen', 'bonn'):
            file = f'{city}_000000_000019'
            image = rng.integers(0, 256, (128, 256, 3), dtype=np.uint8)
            labels = rng.integers(0, 19, (128, 256), dtype=np.uint8)
            labels[:8] = 255
            write(tmp_path / f'leftImg8bit/{split}/{city}/{file}_leftImg8bit.png', image)
            write(tmp_path / f'gtFine/{split}/{city}/{file}_gtFine_labelTrainIds.png', labels)
    train = build_dataset(cfg.train_dataloader.dataset, tmp_path)
    val = build_dataset(cfg.val_dataloader.dataset, tmp_path)
    assert (len(train), len(val), len(train.metainfo['classes'])) == (2, 2, 19)
    assert train[0]['inputs'].shape == (3, 512, 1024)
    sample = val[1]
    assert sample['inputs'].shape == (3, 1024, 2048)
    labels = sample['data_samples'].gt_sem_seg.data
    assert labels.shape == (1, 128, 256)
    assert (labels[0, :8] == 255).all()


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a tool with arguments in this process."""
    monkeypatch.chdir(tmp_path)
    for variable in ('LOCAL_RANK', 'RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(variable, raising=False)

    def run_tool(tool, *arguments):
        # a visualizer of its own: mmengine keeps them by name within a process
        name = f'visualizer.name={tmp_path.name}{len(list(tmp_path.rglob("*.json")))}'
        argv = [tool, *map(str, arguments), '--cfg-options', name]
        monkeypatch.setattr(sys, 'argv', argv)
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')

    return run_tool


def shrink(transforms):
    """Divide the sizes of a pipeline by 8."""
    for transform in transforms:
        if isinstance(transform, list):
            shrink(transform)
        elif 'transforms' in transform:
            shrink(transform['transforms'])
        else:
            for key in ('scale', 'crop_size'):
                if key in transform:
                    transform[key] = tuple(side // 8 for side in transform[key])


@pytest.mark.parametrize(
    'name',
    [pytest.param('trans2seg_tnt_s_ade20k', marks=pytest.mark.slow), 'upernet_tnt_s_ade20k'],
)
def test_it_trains_and_is_tested_with_and_without_tta(name, tmp_path, ade20k, run):
    cfg = read(name)
    cfg.model.backbone.arch = dict(
        depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3
    )
    cfg.model.data_preprocessor.size = (64, 64)
    head = cfg.model.decode_head
    head.in_channels = [48] * len(head.in_channels)
    if name.startswith('upernet'):
        cfg.model.auxiliary_head.in_channels = 48
        cfg.model.test_cfg.update(crop_size=(64, 64), stride=(43, 43))
        head.channels = 16
    drop_pretrained(cfg)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[key].update(num_workers=0, persistent_workers=False)
        cfg[key].dataset.data_root = str(ade20k)
        shrink(cfg[key].dataset.pipeline)
    shrink(cfg.tta_pipeline)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 2
    cfg.default_hooks.logger.interval = 1
    config = tmp_path / 'tiny.py'
    cfg.dump(config)

    run('train.py', config, '--work-dir', 'work')
    (log,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [row['loss'] for row in rows if 'loss' in row]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert any('mIoU' in row for row in rows)
    assert list((tmp_path / 'work').glob('best_mIoU_iter_2.pth'))
    checkpoint = tmp_path / 'work/iter_2.pth'
    for arguments in ([], ['--tta']):
        folder = f'test{len(arguments)}'
        run('test.py', config, checkpoint, '--work-dir', folder, '--out', folder, *arguments)
        (metrics,) = (tmp_path / folder).glob('*/*.json')
        assert 0 <= json.loads(metrics.read_text())['mIoU'] <= 100
        maps = sorted((tmp_path / folder).glob('*.png'))
        assert [path.stem for path in maps] == ['ADE_val_00000001', 'ADE_val_00000002']
        assert cv2.imread(str(maps[0]), cv2.IMREAD_UNCHANGED).shape[:2] == (97, 135)
