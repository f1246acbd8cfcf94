"""PyramidTNT-M on ImageNet-1k at 256 pixels, 310 epochs from scratch: 8 GPUs x 128 images.

bash tools/dist_train.sh configs/pyramid_tnt_m_imagenet.py 8 --amp
"""

_base_ = ['_base_/recipes/pyramid_tnt_imagenet.py']

model = dict(backbone=dict(arch='m'), head=dict(in_channels=768))
