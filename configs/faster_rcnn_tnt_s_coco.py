"""Faster R-CNN with TNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/faster_rcnn_tnt_s_coco.py 8 --amp

The paper's numbers (https://arxiv.org/abs/2103.00112, Table 13): AP 41.5, AP50 64.1, AP75 44.5,
APS 25.7, APM 44.6, APL 55.4, with 48.1 M parameters.
"""

_base_ = [
    '_base_/models/faster_rcnn.py',
    '_base_/models/box_tta.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    neck=dict(in_channels=[384, 384, 384, 384]),
)
