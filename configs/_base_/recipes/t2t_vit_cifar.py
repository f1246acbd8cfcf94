"""T2T-ViT (https://arxiv.org/abs/2101.11986) from ImageNet weights to CIFAR at 224 pixels.

The config that uses it adds the variant, its weights and width. The numbers are from the authors'
command (README.md, section 5) and transfer_learning.py of
https://github.com/yitu-opensource/T2T-ViT. One thing differs: the script leaves the class token and
the last norm out of its optimizer, here they learn at the rate of the blocks.
"""

_base_ = ['../models/classifier.py', '../runtimes/classification.py']

model = dict(
    data_preprocessor=dict(
        num_classes=10,
        # of CIFAR, not of ImageNet: (0.4914, 0.4822, 0.4465) and (0.2023, 0.1994, 0.2010)
        mean=[125.307, 122.961, 113.8575],
        std=[51.5865, 50.847, 51.255],
        to_rgb=False,  # the files hold RGB images
    ),
    backbone=dict(type='tnt_backbone.T2TViT', out_type='cls_token', drop_path_rate=0.1),
    head=dict(num_classes=10, loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=dict(_delete_=True),  # no mixed images
)

data = dict(type='CIFAR10', data_root='data/cifar10/', download=False)
resize = dict(type='Resize', scale=224, backend='pillow', interpolation='bilinear')
train_dataloader = dict(
    batch_size=64,  # in all: --b 64
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **data,
        split='train',
        pipeline=[
            resize,
            dict(type='RandomCrop', crop_size=224, padding=28),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**data, split='test', pipeline=[resize, dict(type='PackInputs')]),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4),  # --lr 0.05
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.01))),  # --transfer-ratio 0.01
)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=60, eta_min=2e-4, by_epoch=True, begin=0, end=60)
]
auto_scale_lr = dict(enable=False, base_batch_size=64)  # 1 GPU x 64 images
