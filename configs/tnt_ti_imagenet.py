"""TNT-Ti on ImageNet-1k at 224 pixels, 310 epochs from scratch: 8 GPUs x 128 images.

bash tools/dist_train.sh configs/tnt_ti_imagenet.py 8 --amp
"""

_base_ = ['_base_/recipes/tnt_imagenet.py']

model = dict(backbone=dict(arch='ti'), head=dict(in_channels=192))
