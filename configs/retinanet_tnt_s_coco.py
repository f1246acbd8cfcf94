"""RetinaNet with TNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/retinanet_tnt_s_coco.py 8 --amp

No number was published.
"""

_base_ = [
    '_base_/models/retinanet.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, out_indices=(1, 2, 3)),  # strides 8, 16, 32
    neck=dict(in_channels=[384, 384, 384]),
)
