"""Semantic FPN with PyramidTNT-S on ADE20K, 80k iterations from ImageNet weights: 8 GPUs x 2.

To reach: no paper has this pair. PVT's paper has 39.8 mIoU for PVT-Small in this setting.

bash tools/dist_train.sh configs/fpn_pyramid_tnt_s_ade20k.py 8 --amp
"""

_base_ = [
    '_base_/models/semantic_fpn.py',
    '_base_/backbones/pyramid_tnt_s.py',
    '_base_/datasets/ade20k.py',
    '_base_/schedules/adamw_poly_80k.py',
    '_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, drop_path_rate=0.1),
    neck=dict(in_channels=[128, 256, 512, 512]),
)
