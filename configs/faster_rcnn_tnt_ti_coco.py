"""Faster R-CNN with TNT-Ti on COCO, 12 epochs: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/faster_rcnn_tnt_ti_coco.py 8 --amp

No weights of TNT-Ti and no number were published: this starts from random weights. After
configs/tnt_ti_imagenet.py, add --weights work_dirs/tnt_ti_imagenet/epoch_310.pth.
"""

_base_ = ['faster_rcnn_tnt_s_coco.py']

model = dict(
    backbone=dict(arch='ti', init_cfg=None),
    neck=dict(in_channels=[192, 192, 192, 192]),
)
