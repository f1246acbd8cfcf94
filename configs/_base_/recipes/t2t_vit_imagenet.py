"""T2T-ViT (https://arxiv.org/abs/2101.11986) on ImageNet-1k at 224 pixels.

The config that uses it adds the variant and its width: model.backbone.arch, model.head.in_channels.
The numbers are from README.md and main.py of https://github.com/yitu-opensource/T2T-ViT, which
starts timm's training script with other defaults; what is not named here is as for TNT.
"""

_base_ = [
    '../models/classifier.py',
    '../datasets/imagenet.py',
    '../schedules/adamw_imagenet.py',
    '../runtimes/classification.py',
]

model = dict(
    # RGB, ImageNet's: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) of the range 0..1
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
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
# The same in the pipeline, whose images are BGR.
_base_.train_dataloader.dataset.pipeline[3].hparams.pad_val = [104, 116, 124]
_base_.train_dataloader.dataset.pipeline[4].fill_color = [103.53, 116.28, 123.675]
_base_.train_dataloader.dataset.pipeline[4].fill_std = [57.375, 57.12, 58.395]

# T2T-ViT-14 on 8 GPUs: --lr 5e-4 --weight-decay .05
optim_wrapper = dict(optimizer=dict(lr=5e-4))
_base_.param_scheduler[1].start_factor = 1e-6 / 5e-4
_base_.param_scheduler[1].end = 11  # --warmup-epochs 10
auto_scale_lr = dict(base_batch_size=512)
