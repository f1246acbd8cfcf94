"""A classifier of 1000 classes: backbone, linear layer, soft targets.

The config that uses it adds the backbone, its mean and std as data_preprocessor, and its width as
head.in_channels. The authors' commands for all three families ask for the same targets: --mixup .8
--cutmix 1.0 --smoothing 0.1.
"""

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        num_classes=1000,  # for the targets of mixed images
        to_rgb=True,
    ),
    neck=None,
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        # (1 - 0.1) * target + 0.1 / 1000, which is timm's smoothing of mixed targets
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        topk=(1, 5),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),  # as the authors' code
    ),
    # Every batch gets one of the two, with equal probability: timm's --mixup-prob 1.0 and
    # --mixup-switch-prob 0.5, which the authors leave at their defaults. timm mixes the batch with
    # itself in reverse order, MMPretrain in a random one.
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
