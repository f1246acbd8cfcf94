"""TNT-Ti on CIFAR-10 at 32 pixels, from scratch, for two processes on a CPU. All is our choice.

bash tools/dist_train.sh configs/tnt_ti_cifar10.py 2
"""

_base_ = [
    '_base_/models/classifier.py',
    '_base_/backbones/tnt.py',
    '_base_/datasets/cifar10.py',
    '_base_/runtimes/classification.py',
]

model = dict(
    data_preprocessor=dict(**_base_.normalization, num_classes=10),
    # 4 * 4 sentences of 4 * 4 words of 2 pixels. Patches of 4 pixels with words of 1 take 3.7 times
    # as long for an image.
    backbone=dict(
        type='tnt_backbone.TNT',
        arch='ti',
        img_size=32,
        patch_size=8,
        word_stride=2,
        out_type='cls_token',
        drop_path_rate=0.05,
    ),
    head=dict(num_classes=10, in_channels=192),
    train_cfg=dict(_delete_=True),  # no mixed images: the run is short
)

max_epochs = 20
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    # As on ImageNet; and position tables, which start near zero, learn faster, so that attention
    # soon tells places apart.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            'cls_token': dict(decay_mult=0.0),
            'word_pos': dict(decay_mult=0.0, lr_mult=10.0),
            'sentence_pos': dict(decay_mult=0.0, lr_mult=10.0),
        },
    ),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=1e-5,
        by_epoch=True,
        begin=0,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
    dict(
        type='LinearLR',
        start_factor=0.01,
        by_epoch=True,
        begin=0,
        end=2,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=64)  # 2 processes x 32 images

default_hooks = dict(logger=dict(interval=20))
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
randomness = dict(seed=0)
