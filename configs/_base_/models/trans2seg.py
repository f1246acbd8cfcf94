"""Trans2Seg (https://arxiv.org/abs/2101.08461) on two maps, of strides 16 and 32.

The config that uses it adds the backbone, its mean and std as data_preprocessor, and the widths of
its two maps as decode_head.in_channels.

The strides are a conclusion. TNT's paper gives 32.1 M parameters and 30.4 G multiply-adds with
TNT-S at 512x512 (Table 11), and DETR's 2x2 average pooling to stride 32, but not the maps. With
TNT-S, strides 16 and 32 have

                                                   parameters    multiply-adds
  built here, attention products counted              31.3 M        39.0 G
    without the products of attention                               -10.1 G
    with pooling instead of our convolution           -1.3 M         -0.3 G
    with what the authors' code builds unused         +2.1 M         +1.6 G
  sum                                                 32.1 M        30.2 G

A fine map of stride 4, as the authors of Trans2Seg use it (backbone.out_indices=(0, 3)), takes
14.3 G more: sharper borders may be worth it, but it is not what the paper counted.
"""

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),  # of the crops
    ),
    decode_head=dict(
        type='Trans2SegHead',
        in_index=[0, 1],
        # of the authors' settings.py, see the class
        channels=64,
        embed_dims=256,
        num_layers=4,
        num_heads=8,
        mlp_ratio=3.0,
        grid_size=(16, 16),  # 512 / 32
        dropout_ratio=0.0,
        num_classes=150,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
