"""Deformable DETR with TNT-S on COCO, 50 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/deformable_detr_tnt_s_coco.py 8 --auto-scale-lr

No number was published. The recipe is that of MMDetection's
configs/deformable_detr/deformable-detr_r50_16xb2-50e_coco.py.
"""

_base_ = [
    '_base_/models/deformable_detr.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/coco_detection_crop.py',
    '_base_/schedules/adamw_detr.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, out_indices=(1, 2, 3)),  # strides 8, 16, 32
    neck=dict(in_channels=[384, 384, 384]),
)

optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(
        custom_keys=dict(sampling_offsets=dict(lr_mult=0.1), reference_points=dict(lr_mult=0.1))
    ),
)
_base_.param_scheduler[0].milestones = [40]
# The rate is for 16 GPUs x 2 images: with 8 add --auto-scale-lr.
auto_scale_lr = dict(base_batch_size=32)
