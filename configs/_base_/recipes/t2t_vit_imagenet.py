"""T2T-ViT (https://arxiv.org/abs/2101.11986) on ImageNet-1k at 224 pixels.

The config that uses it adds the variant and its width: model.backbone.arch, model.head.in_channels.
The numbers are from README.md and main.py of https://github.com/yitu-opensource/T2T-ViT, which
starts timm's training script with other defaults; what is not named here is as for TNT.
"""

_base_ = [
    '../models/classifier.py',
    '../backbones/t2t_vit.py',
    '../datasets/imagenet.py',
    '../schedules/adamw_imagenet.py',
    '../runtimes/classification.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        type='tnt_backbone.T2TViT',  # MMPretrain's own T2T_ViT has another attention scale
        out_type='cls_token',
        drop_path_rate=0.1,
    ),
)

train_dataloader = dict(
    batch_size=64,  # on each of 8 GPUs: -b 64
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),  # no repeated augmentation
)
# Filled and erased areas have the mean and std of the model, in the order of the images: BGR.
_base_.train_dataloader.dataset.pipeline[3].hparams.pad_val = [
    round(value) for value in _base_.normalization.mean[::-1]
]
_base_.train_dataloader.dataset.pipeline[4].fill_color = _base_.normalization.mean[::-1]
_base_.train_dataloader.dataset.pipeline[4].fill_std = _base_.normalization.std[::-1]

# T2T-ViT-14 on 8 GPUs: --lr 5e-4 --weight-decay .05
optim_wrapper = dict(optimizer=dict(lr=5e-4))
_base_.param_scheduler[1].start_factor = 1e-6 / 5e-4
_base_.param_scheduler[1].end = 11  # --warmup-epochs 10
auto_scale_lr = dict(base_batch_size=512)
