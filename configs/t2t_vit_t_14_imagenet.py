"""T2T-ViT_t-14 on ImageNet-1k at 224 pixels, 310 epochs from scratch: 8 GPUs x 64 images.

bash tools/dist_train.sh configs/t2t_vit_t_14_imagenet.py 8 --amp
"""

_base_ = ['_base_/recipes/t2t_vit_imagenet.py']

model = dict(backbone=dict(arch='t-14'), head=dict(in_channels=384))
