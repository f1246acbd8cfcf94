"""Mask R-CNN with PyramidTNT-B on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/mask_rcnn_pyramid_tnt_b_coco.py 8 --amp

No number was published.
"""

_base_ = ['mask_rcnn_pyramid_tnt_s_coco.py']

model = dict(
    backbone=dict(arch='b', init_cfg=dict(checkpoint='tnt://pyramid_tnt_b')),
    neck=dict(in_channels=[256, 512, 1024, 1024]),
)
