"""Mask2Former (https://arxiv.org/abs/2112.01527) for semantic segmentation, with 100 queries.

The config that uses it adds the backbone, its mean and std as data_preprocessor, and the widths of
its four maps as decode_head.in_channels. Values are those of MMSegmentation's
configs/mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py. The decoders are MMDetection's.
"""

_base_ = ['mask2former_parts.py']

num_classes = 150
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),  # of the crops
        test_cfg=dict(size_divisor=32),
    ),
    decode_head=dict(
        **_base_.mask2former_head,
        num_classes=num_classes,
        align_corners=False,
        loss_cls=dict(**_base_.mask2former_loss_cls, class_weight=[1.0] * num_classes + [0.1]),
        train_cfg=_base_.mask2former_train_cfg,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
