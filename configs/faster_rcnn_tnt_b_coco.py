"""Faster R-CNN with TNT-B on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/faster_rcnn_tnt_b_coco.py 8 --amp

No number was published.
"""

_base_ = ['faster_rcnn_tnt_s_coco.py']

model = dict(
    backbone=dict(arch='b', init_cfg=dict(checkpoint='tnt://tnt_b')),
    neck=dict(in_channels=[640, 640, 640, 640]),
)
