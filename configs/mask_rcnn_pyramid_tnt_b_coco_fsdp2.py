"""Mask R-CNN with PyramidTNT-B on COCO, sharded over the GPUs with FSDP2: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/mask_rcnn_pyramid_tnt_b_coco_fsdp2.py 8 --amp

No number was published.
"""

_base_ = ['mask_rcnn_pyramid_tnt_b_coco.py', '_base_/runtimes/fsdp2.py']
