"""The networks that ``small_objects.py`` compares, and the configs that train them.

All of them give maps of strides 4, 8 and 16 to the same head. TNT has patches of 16 pixels and
words of 4, as the published networks do, in a network of a tenth of their size.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from mmengine.config import Config
from study import merge

CONFIGS = Path(__file__).parents[1] / 'configs'
HEAD_WIDTH = 48
LEVELS = 3  # strides 4, 8 and 16
DEPTH = 6
DIGITS = tuple('0123456789')
ENVIRONMENT = threading.Lock()  # all runs of --jobs share it


def _tnt(width: int, **options: Any) -> tuple[dict[str, Any], list[int]]:
    arch = dict(
        depth=DEPTH, word_dims=12, word_heads=2, sentence_dims=width, sentence_heads=width // 32
    )
    backbone = dict(
        type='tnt_backbone.TNT',
        arch=arch,
        img_size=256,
        taps=(DEPTH - 1,) * 4,  # 6 blocks are few: all levels read the last
        out_indices=tuple(range(LEVELS)),
        out_channels=None,
        **options,
    )
    return backbone, [width] * LEVELS


def _words(width: int) -> tuple[dict[str, Any], list[int]]:
    return _tnt(width, word_pyramid=True)


def _design(name: str) -> Callable[[int], tuple[dict[str, Any], list[int]]]:
    def design(width: int) -> tuple[dict[str, Any], list[int]]:
        backbone, widths = _tnt(width)
        return {**backbone, 'type': f'mmengine.{name}'}, widths

    return design


def _vit(width: int) -> tuple[dict[str, Any], list[int]]:
    return _tnt(width, inner_blocks=())


def _swin(width: int) -> tuple[dict[str, Any], list[int]]:
    backbone = dict(
        type='SwinTransformer',
        embed_dims=width,
        depths=(2, 2, 2),
        num_heads=(2, 4, 8),
        strides=(4, 2, 2),
        out_indices=(0, 1, 2),
        drop_path_rate=0.0,
    )
    return backbone, [width, 2 * width, 4 * width]


def _resnet(width: int) -> tuple[dict[str, Any], list[int]]:
    backbone = dict(
        type='ResNet',
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        base_channels=width,
        norm_eval=False,
    )
    return backbone, [width, 2 * width, 4 * width]


# In the order in which they are trained: what decides the question comes first.
MODELS = {
    'tnt_words': _words,
    'tnt': _tnt,
    'vit': _vit,
    'swin': _swin,
    'resnet': _resnet,
    'words_zero': _design('ZeroWords'),
    'words_told': _design('ToldWords'),
    'words_first': _design('FirstWords'),
}
REFERENCE = 'tnt_words'
REFERENCE_WIDTH = 128
# What small_objects_cost.py tries, to find the width that costs as much as the reference.
CANDIDATES = {
    'tnt': (128,),
    'vit': (128, 160, 192),
    'swin': (24, 28, 32),
    'resnet': (32, 36, 40, 44, 48),
}

# Two sizes an octave, from 4 to 45 pixels (roots of the areas); digits are upright.
ANCHORS = dict(
    _delete_=True,
    type='AnchorGenerator',
    octave_base_scale=1,
    scales_per_octave=2,
    ratios=[1.5],
    strides=[4, 8, 16, 32],
)


def _read(name: str, data: Path) -> Config:
    """Read a config of the demo, with the data set of another folder."""
    with ENVIRONMENT, mock.patch.dict(os.environ, TNT_DEMO_DATA=f'{data.resolve()}/'):
        return Config.fromfile(CONFIGS / name)


def detector(model: str, width: int, data: Path, classes: Sequence[str] = DIGITS) -> Config:
    """Return the config of a RetinaNet, without a schedule."""
    backbone, widths = MODELS[model](width)
    cfg = _read('retinanet_tnt_digits.py', data)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.metainfo = dict(classes=tuple(classes))
    return merge(
        cfg,
        dict(
            model=dict(
                backbone=dict(_delete_=True, **backbone),
                neck=dict(in_channels=widths, out_channels=HEAD_WIDTH, num_outs=4),
                bbox_head=dict(
                    num_classes=len(classes),
                    in_channels=HEAD_WIDTH,
                    feat_channels=HEAD_WIDTH,
                    stacked_convs=1,
                    anchor_generator=ANCHORS,
                ),
                test_cfg=dict(max_per_img=100),
            )
        ),
    )


def segmentor(model: str, width: int, data: Path) -> Config:
    """Return the config of a Semantic FPN, without a schedule."""
    backbone, widths = MODELS[model](width)
    return merge(
        _read('fpn_tnt_digits.py', data),
        dict(
            model=dict(
                backbone=dict(_delete_=True, **backbone),
                neck=dict(in_channels=widths, out_channels=HEAD_WIDTH, num_outs=LEVELS),
                decode_head=dict(in_channels=[HEAD_WIDTH] * LEVELS, channels=HEAD_WIDTH),
            )
        ),
    )


def with_recipe(cfg: Config, *, steps: int, rate: float, seed: int) -> Config:
    """Return the config with the recipe that all networks share: 4 scenes a step, one process."""
    cfg = merge(
        cfg,
        dict(
            train_cfg=dict(max_iters=steps, val_interval=steps),
            train_dataloader=dict(batch_size=4),
            randomness=dict(seed=seed),
            optim_wrapper=dict(optimizer=dict(lr=rate)),
            # often enough that a run which is interrupted loses few minutes
            default_hooks=dict(checkpoint=dict(interval=100, max_keep_ckpts=1)),
        ),
    )
    cfg.param_scheduler[0].end = steps // 8
    cfg.param_scheduler[1].T_max = steps
    return cfg
