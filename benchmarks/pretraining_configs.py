"""The configs of ``pretraining.py``: a classifier, a detector and a segmentor with one TNT-Ti."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from study import merge

FOLDER = Path(__file__).parents[1] / 'configs'
SIDE = 128  # longer side of the pictures, in pixels: 16 x 16 sentences
# As in configs/tnt_ti_cifar10.py, whose position table is made for 32 pixels and resized.
BACKBONE = dict(
    _delete_=True,
    type='tnt_backbone.TNT',
    arch='ti',
    img_size=32,
    patch_size=8,
    word_stride=2,
    out_channels=None,
    drop_path_rate=0.05,
)
WIDTH = 192
FLIP = dict(type='RandomFlip', prob=0.5)


def classifier(data: Path, *, seed: int, steps: int) -> Config:
    """Return configs/tnt_ti_cifar10.py, with 64 pictures a step in one process."""
    cfg = Config.fromfile(FOLDER / 'tnt_ti_cifar10.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data / 'cifar10')
    cfg.train_dataloader.batch_size = 64  # its 2 processes x 32
    cfg.randomness = dict(seed=seed)
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)
    return cfg


def detector(data: Path, *, seed: int, steps: int) -> Config:
    """Return a RetinaNet that finds kangaroos."""
    size = dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True)
    boxes = dict(type='LoadAnnotations', with_bbox=True)
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    pack = dict(type='PackDetInputs')
    load = dict(type='LoadImageOrSkip')
    cfg = merge(
        Config.fromfile(FOLDER / 'retinanet_tnt_digits.py'),
        dict(
            model=dict(
                data_preprocessor=dict(pad_size_divisor=16),
                backbone=dict(BACKBONE, out_indices=(1, 2, 3)),  # strides 8, 16 and 32
                neck=dict(in_channels=[WIDTH] * 3, num_outs=3),
                bbox_head=dict(
                    num_classes=1,
                    # sides of 16 to 114 pixels
                    anchor_generator=dict(
                        octave_base_scale=2.25, ratios=[0.5, 1.0, 2.0], strides=[8, 16, 32]
                    ),
                ),
            )
        ),
    )
    for loader, split, steps_of in (
        (cfg.train_dataloader, 'train', [load, boxes, size, FLIP, pack]),
        (cfg.val_dataloader, 'val', [load, size, boxes, dict(pack, meta_keys=keys)]),
    ):
        loader.dataset.update(
            data_root=str(data / 'kangaroo'),
            ann_file=f'{split}.json',
            data_prefix=dict(img='images/'),
            metainfo=dict(classes=('kangaroo',)),
            pipeline=steps_of,
        )
    cfg.val_evaluator.ann_file = str(data / 'kangaroo/val.json')
    return _with_schedule(cfg, seed, steps)


def segmentor(data: Path, *, seed: int, steps: int) -> Config:
    """Return a Semantic FPN that segments pedestrians."""
    size = dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True)
    load, labels = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')
    pack = dict(type='PackSegInputs')
    cfg = merge(
        Config.fromfile(FOLDER / 'fpn_tnt_digits.py'),
        dict(
            model=dict(
                data_preprocessor=dict(size=(SIDE, SIDE), size_divisor=None),
                backbone=dict(BACKBONE, out_indices=(0, 1, 2)),  # strides 4, 8 and 16
                neck=dict(in_channels=[WIDTH] * 3),
                decode_head=dict(num_classes=2, loss_decode=dict(class_weight=None)),
            ),
            optim_wrapper=dict(optimizer=dict(lr=1e-3)),  # the backbone learns too
        ),
    )
    for loader, split, steps_of in (
        (cfg.train_dataloader, 'train', [load, labels, size, FLIP, pack]),
        (cfg.val_dataloader, 'val', [load, size, labels, pack]),
    ):
        loader.dataset.update(
            data_root=str(data / 'pennfudan'),
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'masks/{split}'),
            metainfo=dict(classes=('background', 'pedestrian'), palette=[[0, 0, 0], [255, 0, 0]]),
            pipeline=steps_of,
        )
    cfg.val_dataloader.batch_size = 1  # pictures of other sizes do not fit
    return _with_schedule(cfg, seed, steps)


def _with_schedule(cfg: Config, seed: int, steps: int) -> Config:
    changes: dict[str, Any] = dict(
        train_cfg=dict(max_iters=steps, val_interval=steps),
        train_dataloader=dict(batch_size=8),
        randomness=dict(seed=seed),
        default_hooks=dict(checkpoint=dict(interval=100, max_keep_ckpts=1)),
    )
    cfg = merge(cfg, changes)
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    cfg.param_scheduler[0].end = steps // 8
    cfg.param_scheduler[1].T_max = steps
    return cfg


CONFIGS: dict[str, Callable[..., Config]] = dict(
    classify=classifier, detect=detector, segment=segmentor
)
