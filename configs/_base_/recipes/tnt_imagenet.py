"""TNT (https://arxiv.org/abs/2103.00112) on ImageNet-1k at 224 pixels.

The config that uses it adds the variant and its width: model.backbone.arch, model.head.in_channels.
"""

_base_ = [
    '../models/classifier.py',
    '../datasets/imagenet.py',
    '../schedules/adamw_imagenet.py',
    '../runtimes/classification.py',
]

model = dict(
    backbone=dict(
        type='tnt_backbone.TNT',  # MMPretrain's own TNT is the legacy formulation
        out_type='cls_token',
        drop_path_rate=0.1,  # --drop-path .1
    )
)
