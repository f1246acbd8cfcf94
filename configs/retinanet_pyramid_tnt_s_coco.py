"""RetinaNet with PyramidTNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/retinanet_pyramid_tnt_s_coco.py 8 --amp

The paper's number (https://arxiv.org/abs/2201.00978): AP 42.0, APL 57.7.
"""

_base_ = [
    '_base_/models/retinanet.py',
    '_base_/backbones/pyramid_tnt_s.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, out_indices=(1, 2, 3)),  # strides 8, 16, 32
    neck=dict(in_channels=[256, 512, 512]),
)
