"""Segmenter (https://arxiv.org/abs/2105.05633): its mask transformer on one map of stride 16.

The config that uses it adds the backbone, its mean and std as data_preprocessor, and its width as
channels, in_channels and embed_dims of the head. Values are those of MMSegmentation's
configs/segmenter, but for the windows of the test, which overlap by a third.
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
        type='SegmenterMaskTransformerHead',
        num_classes=150,
        num_layers=2,
        dropout_ratio=0.0,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
