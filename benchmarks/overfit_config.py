"""From a config of the project to one that learns a few pictures by heart in few steps."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from overfit_recipes import Recipe
from study import LOG_EVERY, merge

CONFIGS = Path(__file__).parents[1] / 'configs'
COCO_STEPS_AN_EPOCH = 117266 // 16
LEAST_WARMUP = 10  # steps: a warm-up in proportion would be shorter than one
EVERY = 100  # steps between checkpoints


def make_config(recipe: Recipe, pictures: Path) -> Config:
    """Return the config of a run on the pictures of a folder."""
    cfg = Config.fromfile(CONFIGS / recipe.config)
    _shorten(cfg, recipe.steps)
    changes: dict[str, Any] = dict(model=recipe.model)
    if recipe.paramwise:
        changes['optim_wrapper'] = dict(paramwise_cfg=dict(custom_keys=recipe.paramwise))
    cfg = merge(cfg, changes)
    cfg.optim_wrapper.optimizer.lr *= recipe.rate
    cfg.model.backbone.drop_path_rate = 0.0
    dict(coco=_read_coco, ade=_read_ade, imagenet=_read_imagenet)[recipe.data](cfg, pictures)
    train, test = cfg.train_dataloader, cfg.val_dataloader
    train.batch_size, test.batch_size = recipe.batch, 1
    train.sampler = dict(type='InfiniteSampler', shuffle=True)
    train.pop('batch_sampler', None)
    for loader in (train, test):
        loader.num_workers, loader.persistent_workers = 0, False
    cfg.test_dataloader, cfg.test_evaluator = test, cfg.val_evaluator
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=EVERY, max_keep_ckpts=1
    )
    cfg.default_hooks.logger = dict(
        type='LoggerHook', interval=LOG_EVERY, log_metric_by_epoch=False
    )
    cfg.log_processor = dict(type='LogProcessor', window_size=LOG_EVERY, by_epoch=False)
    cfg.randomness = dict(seed=0)
    return cfg


def _shorten(cfg: Config, steps: int) -> None:
    """Squeeze a schedule into a number of steps, and count in steps what was in epochs."""
    epochs = cfg.train_cfg.get('max_epochs')
    whole = epochs * COCO_STEPS_AN_EPOCH if epochs else cfg.train_cfg.max_iters
    for scheduler in cfg.param_scheduler:
        scale = steps / (epochs if scheduler.by_epoch else whole)
        scheduler.by_epoch = False
        for key in ('begin', 'end', 'T_max'):
            if key in scheduler:
                scheduler[key] = round(scheduler[key] * scale)
        if 'milestones' in scheduler:
            scheduler.milestones = [round(step * scale) for step in scheduler.milestones]
        if scheduler.type == 'LinearLR':
            scheduler.end = max(scheduler.end, LEAST_WARMUP)
    warmups = [s.end for s in cfg.param_scheduler if s.type == 'LinearLR']
    for scheduler in cfg.param_scheduler:
        if scheduler.get('begin'):  # starts where the warm-up ends
            scheduler.begin = max(scheduler.begin, *warmups)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=steps)


def _read_coco(cfg: Config, pictures: Path) -> None:
    annotations = str(pictures / 'instances.json')
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.update(
            data_root='', ann_file=annotations, data_prefix=dict(img=f'{pictures}/')
        )
    load, labels = cfg.train_dataloader.dataset.pipeline[:2]
    as_it_is: dict[str, Any] = dict(type='Resize', scale_factor=1.0, keep_ratio=True)
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    pack = dict(type='PackDetInputs', meta_keys=keys)
    cfg.train_dataloader.dataset.pipeline = [load, labels, as_it_is, dict(type='PackDetInputs')]
    cfg.val_dataloader.dataset.pipeline = [load, as_it_is, labels, pack]
    cfg.val_evaluator.ann_file = annotations


def _read_ade(cfg: Config, pictures: Path) -> None:
    steps = [dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')]
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.update(
            data_root=str(pictures),
            data_prefix=dict(img_path='images', seg_map_path='annotations'),
            pipeline=steps,
        )
    # tokens have the places in the test that they had in training
    cfg.model.data_preprocessor.size = (256, 256)
    cfg.model.data_preprocessor.test_cfg = dict(size=(256, 256))


def _read_imagenet(cfg: Config, pictures: Path) -> None:
    cfg.model.train_cfg = None
    cfg.model.head.loss = dict(type='CrossEntropyLoss')
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'EMAHook']
    pipeline = cfg.val_dataloader.dataset.pipeline
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset = dict(type='CustomDataset', data_prefix=str(pictures), pipeline=pipeline)
    cfg.train_dataloader.drop_last = False
