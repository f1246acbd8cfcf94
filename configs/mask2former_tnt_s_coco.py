"""Mask2Former (panoptic) with TNT-S on COCO, 50 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/mask2former_tnt_s_coco.py 8

No number was published.
"""

_base_ = [
    '_base_/models/mask2former.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/coco_panoptic_lsj.py',
    '_base_/schedules/adamw_mask2former.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    panoptic_head=dict(in_channels=[384, 384, 384, 384]),
)

default_hooks = dict(
    checkpoint=dict(
        by_epoch=False, interval=5000, save_last=True, save_best='coco_panoptic/PQ', rule='greater'
    )
)
log_processor = dict(by_epoch=False)
