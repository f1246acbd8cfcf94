"""RPN with TNT-S on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/rpn_tnt_s_coco.py 8 --amp

No number was published. It measures the recall of the regions (AR).
"""

_base_ = [
    '_base_/models/rpn.py',
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

# COCO's own tool. MMDetection's quicker 'proposal_fast' fails with numpy 1.24 and later.
val_evaluator = dict(metric='proposal')
test_evaluator = val_evaluator
