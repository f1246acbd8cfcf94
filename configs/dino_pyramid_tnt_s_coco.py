"""DINO with PyramidTNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/dino_pyramid_tnt_s_coco.py 8

No number was published. The recipe is that of MMDetection's
configs/dino/dino-4scale_r50_8xb2-12e_coco.py.
"""

_base_ = [
    '_base_/models/dino.py',
    '_base_/backbones/pyramid_tnt_s.py',
    '_base_/datasets/coco_detection_crop.py',
    '_base_/schedules/adamw_detr.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, out_indices=(1, 2, 3)),  # strides 8, 16, 32
    neck=dict(in_channels=[256, 512, 512]),
)

train_cfg = dict(max_epochs=12)
_base_.param_scheduler[0].end = 12
_base_.param_scheduler[0].milestones = [11]
