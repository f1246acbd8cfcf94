"""Mask R-CNN with PyramidTNT-M on COCO, 12 epochs from ImageNet weights: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/mask_rcnn_pyramid_tnt_m_coco.py 8 --amp

No number was published.
"""

_base_ = ['mask_rcnn_pyramid_tnt_s_coco.py']

model = dict(
    backbone=dict(arch='m', init_cfg=dict(checkpoint='tnt://pyramid_tnt_m')),
    neck=dict(in_channels=[192, 384, 768, 768]),
)
