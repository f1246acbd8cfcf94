"""ImageNet-1k in data/imagenet (docs/datasets.md), at 224 pixels, as TNT was trained on it.

Each number is from the authors' command (tnt_pytorch/readme.md of huawei-noah's
Efficient-AI-Backbones) or the default of timm's training script that it starts, except where a
comment says otherwise. T2T-ViT's script has the same ones, without repeated augmentation. The
recipe that uses it adds what depends on the mean and std: pad_val, fill_color and fill_std.
"""

data_root = 'data/imagenet/'

# `--color-jitter 0.4` is in the commands and does nothing: timm's transforms_imagenet_train leaves
# colour jitter out where there is an `--aa` policy. So there is none here.
train_dataloader = dict(
    batch_size=128,  # on each of 8 GPUs: -b 128
    num_workers=8,  # -j 8
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    # --repeated-aug: three differently augmented copies of a third of the images an epoch, on
    # different GPUs; the number of images an epoch stays the same
    sampler=dict(type='RepeatAugSampler', num_repeats=3, shuffle=True),
    dataset=dict(
        type='ImageNet',
        data_root=data_root,
        split='train',
        pipeline=[
            dict(type='LoadImageOrSkip'),  # a damaged file is named in the log and skipped
            # --train-interpolation random; area 0.08 to 1 and ratio 3/4 to 4/3 are the defaults of
            # timm and MMPretrain alike
            dict(
                type='RandomChoice',
                transforms=[
                    [
                        dict(
                            type='RandomResizedCrop',
                            scale=224,
                            backend='pillow',
                            interpolation=interpolation,
                        )
                    ]
                    for interpolation in ('bilinear', 'bicubic')
                ],
            ),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),  # --hflip 0.5
            # --aa rand-m9-mstd0.5-inc1, filled with the mean. timm draws the interpolation of each
            # operation too; MMPretrain's takes one: bicubic, as in its own configs.
            dict(
                type='RandAugment',
                policies='timm_increasing',
                num_policies=2,
                total_level=10,
                magnitude_level=9,
                magnitude_std=0.5,
                hparams=dict(interpolation='bicubic'),
            ),
            # --reprob 0.25 --remode pixel: normal noise in each pixel; timm erases after
            # normalising, MMPretrain before, so here the noise has the model's mean and std, and
            # what leaves 0..255 is clipped. The areas are timm's.
            dict(
                type='RandomErasing',
                erase_prob=0.25,
                mode='rand',
                min_area_ratio=0.02,
                max_area_ratio=1 / 3,
            ),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNet',
        data_root=data_root,
        split='val',
        pipeline=[
            dict(type='LoadImageFromFile'),
            # 248 = floor(224 / 0.9): crop_pct and bicubic of the authors' default_cfgs
            dict(
                type='ResizeEdge',
                scale=248,
                edge='short',
                backend='pillow',
                interpolation='bicubic',
            ),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
