"""configs/*_imagenet.py and configs/tnt_ti_cifar10.py: recipes, models, one epoch on tiny data."""

import json
import math
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS, init_default_scope
from timm.data import create_transform
from timm.scheduler import CosineLRScheduler
from torch import nn

from tnt_backbone.variants import PYRAMID_TNT_VARIANTS, T2T_VIT_VARIANTS, TNT_VARIANTS

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / 'configs').glob('*_imagenet.py'))
SMALLEST = ('tnt_ti_imagenet', 'pyramid_tnt_ti_imagenet', 't2t_vit_7_imagenet')
SIZES = {'tnt': 224, 'pyramid_tnt': 256, 't2t_vit': 224}
# --lr and --weight-decay of the authors' commands
RATES = {
    'tnt': (1e-3, 0.05),
    'pyramid_tnt': (1e-3, 0.05),
    't2t_vit_7': (1e-3, 0.03),
    't2t_vit_10': (1e-3, 0.03),
    't2t_vit_12': (1e-3, 0.03),
    't2t_vit_14': (5e-4, 0.05),
    't2t_vit_t_14': (5e-4, 0.05),
    't2t_vit': (5e-4, 0.065),
}
WARM_UP = {'tnt': 5, 'pyramid_tnt': 20, 't2t_vit': 10}  # epochs

# Networks of two blocks, so that a step takes no time; everything else is the config's own.
TINY = """
_base_ = ['{config}']
model = dict(
    data_preprocessor=dict(num_classes=2),
    backbone=dict(arch=dict(_delete_=True, {arch}){more}),
    head=dict(num_classes=2, in_channels=48, topk=(1,)),
)
metainfo = dict(classes=('dark', 'light'))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False,
    dataset=dict(data_root='{data}', metainfo=metainfo))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, pin_memory=False,
    dataset=dict(data_root='{data}', metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
randomness = dict(seed=0)
"""
ARCHS = {
    'tnt': 'depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3',
    'pyramid_tnt': 'depths=(1, 1, 1, 1), word_dims=(4, 4, 8, 8), word_heads=(1, 1, 2, 2), '
    'sentence_dims=(16, 16, 32, 48), sentence_heads=(1, 1, 2, 2)',
    't2t_vit': 'depth=2, embed_dims=48, num_heads=3, token_dims=16',
}


def family_of(name):
    return next(family for family in ('pyramid_tnt', 'tnt', 't2t_vit') if name.startswith(family))


def read(name):
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def no_initialisation(monkeypatch):
    """Build large networks quickly."""
    for function in ('kaiming_uniform_', 'kaiming_normal_', 'trunc_normal_', 'normal_', 'uniform_'):
        monkeypatch.setattr(nn.init, function, lambda tensor, *args, **kwargs: tensor)


@pytest.fixture
def image_folder(tmp_path):
    """``{train,val}/<class>/<image>``: 2 classes of 2 images."""
    rng = np.random.default_rng(0)
    root = tmp_path / 'images'
    for split in ('train', 'val'):
        for label, folder in enumerate(('n00000001', 'n00000002')):
            (root / split / folder).mkdir(parents=True)
            for i in range(2):
                pixels = rng.integers(0, 128, (48, 56, 3), dtype=np.uint8) + label * np.uint8(127)
                cv2.imwrite(str(root / split / folder / f'{i}.JPEG'), pixels)
    return root


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


def test_there_is_a_config_for_every_published_variant():
    rows = [f'tnt_{arch}' for arch in TNT_VARIANTS]
    rows += [f'pyramid_tnt_{arch}' for arch in PYRAMID_TNT_VARIANTS]
    own = {'14-wide', '14-resnext'}  # of the paper's ablation
    rows += [f't2t_vit_{arch.replace("-", "_")}' for arch in T2T_VIT_VARIANTS if arch not in own]
    assert sorted(f'{row}_imagenet' for row in rows) == NAMES


def test_the_recipe_is_the_authors(name):
    cfg = read(name)
    family = family_of(name)
    lr, weight_decay = RATES.get(name.removesuffix('_imagenet'), RATES[family])
    assert cfg.optim_wrapper.optimizer == dict(
        type='AdamW', lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay, fused=True
    )
    assert 'clip_grad' not in cfg.optim_wrapper
    assert cfg.train_cfg.max_epochs == 310
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size
    assert cfg.auto_scale_lr.base_batch_size == (512 if family == 't2t_vit' else 1024)
    assert cfg.train_dataloader.sampler.type == (
        'DefaultSampler' if family == 't2t_vit' else 'RepeatAugSampler'
    )
    assert cfg.train_dataloader.drop_last
    (ema,) = cfg.custom_hooks
    assert ema.type == 'EMAHook'
    assert ema.momentum == pytest.approx(4e-5)
    # BatchNorm statistics, which only PyramidTNT has, are averaged too
    assert ema.get('update_buffers', False) == (family == 'pyramid_tnt')

    assert cfg.model.backbone.drop_path_rate == 0.1
    assert cfg.model.head.loss.label_smooth_val == 0.1
    assert cfg.model.train_cfg.augments == [
        dict(type='Mixup', alpha=0.8),
        dict(type='CutMix', alpha=1.0),
    ]
    _, crops, flip, rand_augment, erasing, _ = cfg.train_dataloader.dataset.pipeline
    assert flip.prob == 0.5
    assert (rand_augment.num_policies, rand_augment.magnitude_level) == (2, 9)
    assert (rand_augment.total_level, rand_augment.magnitude_std) == (10, 0.5)
    assert (erasing.erase_prob, erasing.mode) == (0.25, 'rand')
    mean, std = cfg.model.data_preprocessor.mean, cfg.model.data_preprocessor.std
    if family == 't2t_vit':
        assert (mean, std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    else:
        assert mean == std == [127.5] * 3
    assert cfg.model.data_preprocessor.to_rgb
    # the images that are filled are still BGR
    assert rand_augment.hparams.pad_val == [round(channel) for channel in mean[::-1]]
    assert (erasing.fill_color, erasing.fill_std) == (mean[::-1], std[::-1])

    size = 192 if name == 'pyramid_tnt_ti_imagenet' else SIZES[family]
    assert [(crop.scale, crop.interpolation) for (crop,) in crops.transforms] == [
        (size, 'bilinear'),
        (size, 'bicubic'),
    ]
    assert cfg.test_dataloader == cfg.val_dataloader
    _, resize, crop, _ = cfg.val_dataloader.dataset.pipeline
    assert (resize.scale, resize.interpolation) == (math.floor(size / 0.9), 'bicubic')
    assert crop.crop_size == size


@pytest.mark.parametrize('name', [*SMALLEST, 't2t_vit_14_imagenet'])
def test_the_learning_rate_is_that_of_timm(name):
    cfg = read(name)
    lr, warm_up = cfg.optim_wrapper.optimizer.lr, WARM_UP[family_of(name)]
    ours, theirs = (torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=lr) for _ in range(2))
    schedulers = [PARAM_SCHEDULERS.build({**s, 'optimizer': ours}) for s in cfg.param_scheduler]
    timm = CosineLRScheduler(
        theirs, t_initial=300, lr_min=1e-5, warmup_t=warm_up, warmup_lr_init=1e-6
    )
    for epoch in range(cfg.train_cfg.max_epochs):
        found, expected = ours.param_groups[0]['lr'], theirs.param_groups[0]['lr']
        # what adamw_imagenet.py says of the difference
        tolerance = {5: 3e-4, 10: 2e-3, 20: 1e-2}[warm_up] if epoch < warm_up else 4e-4
        assert found == pytest.approx(expected, rel=1e-9 if epoch == 0 else tolerance), epoch
        if epoch >= 300:
            assert found == pytest.approx(1e-5, rel=1e-9)
        ours.step()
        for scheduler in schedulers:
            scheduler.step()
        timm.step(epoch + 1)


@pytest.mark.usefixtures('no_initialisation')
def test_the_model_is_the_published_one_and_spares_what_timm_spares(name):
    cfg = read(name)
    model = MODELS.build(cfg.model)
    table = {
        'tnt': TNT_VARIANTS,
        'pyramid_tnt': PYRAMID_TNT_VARIANTS,
        't2t_vit': T2T_VIT_VARIANTS,
    }[family_of(name)]
    variant = table[cfg.model.backbone.arch]
    assert model.head.fc.weight.shape == (1000, model.backbone.embed_dims)
    # Table and code differ by the tables of positions, which T2T-ViT's authors count.
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(
        variant.params_m, rel=0.02
    )

    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    spared = {
        names[id(parameter)]
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
        if group['weight_decay'] == 0.0 and parameter.requires_grad
    }
    # timm spares what has one dimension. PyramidTNT's norms over all words of a sentence have two
    # here, and one in the authors' code.
    tables = {f'backbone.{name}' for name in ('cls_token', 'word_pos', 'sentence_pos')}
    norms = {
        f'{path}.{parameter}'
        for path, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for parameter in ('weight', 'bias')
    }
    assert spared == {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.ndim <= 1 or name in tables | norms)
    }
    assert {group['weight_decay'] for group in wrapper.optimizer.param_groups} <= {
        0.0,
        cfg.optim_wrapper.optimizer.weight_decay,
    }
    assert all(group['lr'] == cfg.optim_wrapper.optimizer.lr for group in wrapper.param_groups)


@pytest.mark.parametrize('name', SMALLEST)
@pytest.mark.parametrize('shape', [(300, 281), (200, 333)])
def test_the_image_that_is_tested_is_that_of_timm(name, shape, tmp_path):
    from PIL import Image

    cfg = read(name)
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    pixels = cv2.GaussianBlur(pixels, (9, 9), 3)
    cv2.imwrite(str(tmp_path / 'image.png'), pixels)
    pipeline = Compose([TRANSFORMS.build(t) for t in cfg.val_dataloader.dataset.pipeline])
    sample = pipeline(dict(img_path=str(tmp_path / 'image.png'), gt_label=3))
    preprocessor = {'type': 'ClsDataPreprocessor', **cfg.model.data_preprocessor}
    found = MODELS.build(preprocessor)(pseudo_collate([sample]))['inputs'][0]

    size = found.shape[-1]
    transform = create_transform(
        size,
        interpolation='bicubic',
        crop_pct=0.9,
        mean=[value / 255 for value in cfg.model.data_preprocessor.mean],
        std=[value / 255 for value in cfg.model.data_preprocessor.std],
    )
    expected = transform(Image.open(tmp_path / 'image.png'))
    assert found.shape == expected.shape == (3, size, size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('name', SMALLEST)
def test_training_images_are_of_the_right_size_and_mixed(name, image_folder):
    cfg = read(name)
    size = cfg.val_dataloader.dataset.pipeline[2].crop_size
    np.random.seed(0)
    torch.manual_seed(0)
    pipeline = Compose([TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline])
    samples = [
        pipeline(dict(img_path=str(path), gt_label=label))
        for label, path in enumerate(sorted(image_folder.glob('train/*/*.JPEG')))
    ]
    assert all(sample['inputs'].shape == (3, size, size) for sample in samples)
    assert all(sample['inputs'].dtype == torch.uint8 for sample in samples)
    preprocessor = MODELS.build(
        {
            'type': 'ClsDataPreprocessor',
            'to_onehot': True,
            'batch_augments': cfg.model.train_cfg,
            **cfg.model.data_preprocessor,
        }
    )
    batch = preprocessor(pseudo_collate(samples), training=True)
    scores = torch.stack([sample.gt_score for sample in batch['data_samples']])
    assert batch['inputs'].shape == (4, 3, size, size)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(4))
    assert (scores > 0).sum(dim=1).max() == 2


@pytest.mark.parametrize('name', SMALLEST)
def test_it_trains_resumes_and_is_tested(name, tmp_path, image_folder, run):
    config = tmp_path / 'tiny.py'
    text = TINY.format(
        config=ROOT / 'configs' / f'{name}.py',
        arch=ARCHS[family_of(name)],
        more=', img_size=192' if 'pyramid' in name else '',
        data=image_folder,
    )
    config.write_text(text)
    run('train.py', config, '--work-dir', 'work')
    best = list((tmp_path / 'work').glob('best_accuracy_top1_epoch_1.pth'))
    assert len(best) == 1
    (first,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    first.unlink()  # the next run may start in the same second, and log into the same folder
    config.write_text(text.replace('max_epochs=1', 'max_epochs=2'))
    run('train.py', config, '--work-dir', 'work', '--resume')
    (log,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [row['loss'] for row in rows if 'loss' in row]
    assert len(losses) == 2  # 4 images, 2 in a batch, of the second epoch
    assert np.isfinite(losses).all()
    assert 'ema_state_dict' in torch.load(tmp_path / 'work' / 'epoch_2.pth', weights_only=False)

    run('test.py', config, tmp_path / 'work' / 'epoch_2.pth', '--work-dir', 'test')
    (metrics,) = (tmp_path / 'test').glob('*/*.json')
    assert 0 <= json.loads(metrics.read_text())['accuracy/top1'] <= 100


def test_cifar_trains_and_is_tested(tmp_path, run):
    cfg = read('tnt_ti_cifar10')
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for folder in cfg.metainfo.classes:
            path = tmp_path / 'cifar10' / split / folder
            path.mkdir(parents=True)
            cv2.imwrite(str(path / '0000.png'), rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    config = tmp_path / 'tiny.py'
    data = f'dict(dataset=dict(data_root={str(tmp_path / "cifar10")!r}))'
    config.write_text(
        f"""
_base_ = ['{ROOT}/configs/tnt_ti_cifar10.py']
model = dict(backbone=dict(arch=dict(_delete_=True, {ARCHS['tnt']})), head=dict(in_channels=48))
train_dataloader = dict(batch_size=5, dataset=dict(data_root='{tmp_path}/cifar10'))
val_dataloader = {data}
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=1)
"""
    )
    run('train.py', config, '--work-dir', 'work')
    run('test.py', config, tmp_path / 'work' / 'epoch_1.pth', '--work-dir', 'test')
    (metrics,) = (tmp_path / 'test').glob('*/*.json')
    assert set(json.loads(metrics.read_text())) >= {'accuracy/top1', 'accuracy/top5'}


def test_cifar_network_has_the_size_of_tnt_ti():
    cfg = read('tnt_ti_cifar10')
    model = MODELS.build(cfg.model)
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert model.backbone.grid == (4, 4)
    assert model.backbone.words_per_side == 4
    assert len(cfg.metainfo.classes) == 10
    assert cfg.auto_scale_lr.base_batch_size == 2 * cfg.train_dataloader.batch_size
