"""Faster R-CNN with TNT-S on Pascal VOC 07+12, 4 epochs of three passes: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/faster_rcnn_tnt_s_voc0712.py 8 --amp

No number was published. The data and the length of the schedule are those of MMDetection's
configs/pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py, the rates those of our COCO configs.
"""

_base_ = [
    '_base_/models/faster_rcnn.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/voc0712.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    neck=dict(in_channels=[384, 384, 384, 384]),
    roi_head=dict(bbox_head=dict(num_classes=20)),
)

train_cfg = dict(max_epochs=4)
_base_.param_scheduler[1].end = 4
_base_.param_scheduler[1].milestones = [3]

default_hooks = dict(checkpoint=dict(save_best='pascal_voc/mAP', rule='greater'))
