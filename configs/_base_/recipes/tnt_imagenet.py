"""TNT (https://arxiv.org/abs/2103.00112) on ImageNet-1k at 224 pixels.

The config that uses it adds the variant and its width: model.backbone.arch, model.head.in_channels.
"""

_base_ = [
    '../models/classifier.py',
    '../backbones/tnt.py',
    '../datasets/imagenet.py',
    '../schedules/adamw_imagenet.py',
    '../runtimes/classification.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        type='tnt_backbone.TNT',  # MMPretrain's own TNT is the legacy formulation
        out_type='cls_token',
        drop_path_rate=0.1,  # --drop-path .1
    ),
)

# Filled and erased areas have the mean and std of the model, in the order of the images: BGR.
_base_.train_dataloader.dataset.pipeline[3].hparams.pad_val = [
    round(value) for value in _base_.normalization.mean[::-1]
]
_base_.train_dataloader.dataset.pipeline[4].fill_color = _base_.normalization.mean[::-1]
_base_.train_dataloader.dataset.pipeline[4].fill_std = _base_.normalization.std[::-1]
