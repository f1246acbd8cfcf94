"""Mask2Former (https://arxiv.org/abs/2112.01527), panoptic, on four backbone maps, strides 4 to 32.

The config that uses it adds the backbone, its mean and std as data_preprocessor, and the widths of
its maps as panoptic_head.in_channels. Values are those of MMDetection's
configs/mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py, except where a comment says
otherwise.
"""

_base_ = ['mask2former_parts.py']

model = dict(
    type='Mask2Former',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_mask=True,
        mask_pad_value=0,
        pad_seg=True,
        seg_pad_value=255,
        # to the crops of datasets/coco_panoptic_lsj.py
        batch_augments=[
            dict(
                type='BatchFixedSizePad',
                size=(1024, 1024),
                img_pad_value=0,
                pad_mask=True,
                mask_pad_value=0,
                pad_seg=True,
                seg_pad_value=255,
            )
        ],
    ),
    panoptic_head=dict(
        **_base_.mask2former_head,
        num_things_classes=80,
        num_stuff_classes=53,
        loss_cls=dict(
            **_base_.mask2former_loss_cls,
            class_weight=[1.0] * 133 + [0.1],  # 80 things, 53 kinds of stuff, "no object"
        ),
    ),
    panoptic_fusion_head=dict(
        type='MaskFormerFusionHead',
        num_things_classes=80,
        num_stuff_classes=53,
        loss_panoptic=None,
        init_cfg=None,
    ),
    train_cfg=_base_.mask2former_train_cfg,
    test_cfg=dict(
        panoptic_on=True,
        semantic_on=False,  # MMDetection has no metric for it
        instance_on=True,
        max_per_image=100,
        iou_thr=0.8,
        filter_low_score=True,  # masks with a score under 0.5
    ),
    init_cfg=None,
)
