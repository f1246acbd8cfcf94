"""DETR with TNT-S on COCO, 50 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/detr_tnt_s_coco.py 8

The paper's numbers (https://arxiv.org/abs/2103.00112, Table 10): AP 38.2, AP50 58.9, AP75 39.4,
APS 15.5, APM 41.1, APL 58.8, with 39 M parameters.
"""

_base_ = [
    '_base_/models/detr.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/coco_detection_multi_scale.py',
    '_base_/schedules/adamw_detr.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    # The paper averages 2x2 sentences for a map of stride 32; ours comes from a convolution.
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    neck=dict(in_channels=[384]),
)
