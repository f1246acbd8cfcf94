"""PyramidTNT (https://arxiv.org/abs/2201.00978) on ImageNet-1k at 256 pixels.

The config that uses it adds the variant and its width: model.backbone.arch, model.head.in_channels.
The recipe is TNT's but for 20 epochs of warm-up: the authors give one command, for PyramidTNT-S
(tnt_pytorch/readme.md). For the other sizes it is our choice, drop path among it.
"""

_base_ = [
    '../models/classifier.py',
    '../backbones/pyramid_tnt.py',
    '../datasets/imagenet.py',
    '../schedules/adamw_imagenet.py',
    '../runtimes/classification.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        type='tnt_backbone.PyramidTNT',
        out_type='avg_featmap',
        drop_path_rate=0.1,  # --drop-path .1
    ),
)

# Filled and erased areas have the mean and std of the model, in the order of the images: BGR.
_base_.train_dataloader.dataset.pipeline[3].hparams.pad_val = [
    round(value) for value in _base_.normalization.mean[::-1]
]
_base_.train_dataloader.dataset.pipeline[4].fill_color = _base_.normalization.mean[::-1]
_base_.train_dataloader.dataset.pipeline[4].fill_std = _base_.normalization.std[::-1]

_base_.train_dataloader.dataset.pipeline[1].transforms[0][0].scale = 256
_base_.train_dataloader.dataset.pipeline[1].transforms[1][0].scale = 256
_base_.val_dataloader.dataset.pipeline[1].scale = 284  # floor(256 / 0.9)
_base_.val_dataloader.dataset.pipeline[2].crop_size = 256
test_dataloader = _base_.val_dataloader

_base_.param_scheduler[1].end = 21  # --warmup-epochs 20
# timm averages the BatchNorm statistics of the stem too.
_base_.custom_hooks[0].update_buffers = True
