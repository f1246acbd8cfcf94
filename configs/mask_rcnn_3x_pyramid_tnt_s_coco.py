"""Mask R-CNN with PyramidTNT-S on COCO, 36 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/mask_rcnn_3x_pyramid_tnt_s_coco.py 8 --amp

The paper has this model in its tables; its numbers are not known to us.
"""

_base_ = [
    '_base_/models/mask_rcnn.py',
    '_base_/backbones/pyramid_tnt_s.py',
    '_base_/datasets/coco_instance_multi_scale.py',
    '_base_/schedules/adamw_3x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    neck=dict(in_channels=[128, 256, 512, 512]),
)
