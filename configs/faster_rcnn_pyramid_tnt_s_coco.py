"""Faster R-CNN with PyramidTNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/faster_rcnn_pyramid_tnt_s_coco.py 8 --amp

No number was published.
"""

_base_ = [
    '_base_/models/faster_rcnn.py',
    '_base_/models/box_tta.py',
    '_base_/backbones/pyramid_tnt_s.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    neck=dict(in_channels=[128, 256, 512, 512]),
)
