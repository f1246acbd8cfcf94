"""PyramidTNT-B on ImageNet-1k, sharded over the GPUs with FSDP2: 8 GPUs x 128 images.

bash tools/dist_train.sh configs/pyramid_tnt_b_imagenet_fsdp2.py 8 --amp
"""

_base_ = ['pyramid_tnt_b_imagenet.py', '_base_/runtimes/fsdp2.py']
