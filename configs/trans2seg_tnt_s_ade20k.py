"""Trans2Seg with TNT-S on ADE20K, 40k iterations from ImageNet weights: 8 GPUs x 2 images.

To reach, from TNT's paper, Table 11: 43.6 mIoU on the validation images at a single scale.

bash tools/dist_train.sh configs/trans2seg_tnt_s_ade20k.py 8 --amp
"""

_base_ = [
    '_base_/models/trans2seg.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/ade20k.py',
    '_base_/schedules/adamw_poly_40k.py',
    '_base_/runtimes/segmentation.py',
]

custom_imports = dict(
    imports=['tnt_backbone', 'tnt_backbone.engine', 'tnt_backbone.heads.trans2seg_head'],
    allow_failed_imports=False,
)

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, out_indices=(2, 3), drop_path_rate=0.1),
    decode_head=dict(in_channels=[384, 384]),
)
# nor for the head's tables
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={'pos_embed': dict(decay_mult=0.0), 'class_embed': dict(decay_mult=0.0)}
    )
)
