"""RetinaNet with TNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/retinanet_tnt_s_coco.py 8 --amp

No number was published.
"""

_base_ = [
    '_base_/models/retinanet.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/runtimes/detection.py',
]

model = dict(
    backbone=dict(
        type='tnt_backbone.TNT',
        arch='s',
        out_indices=(1, 2, 3),  # strides 8, 16, 32
        out_channels=None,  # the native width, 384 on each level
        init_cfg=dict(type='Pretrained', checkpoint='tnt://tnt_s'),
    ),
    neck=dict(in_channels=[384, 384, 384]),
)
