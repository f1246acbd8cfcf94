"""T2T-ViT-19 on ImageNet-1k at 224 pixels, 310 epochs from scratch: 8 GPUs x 64 images.

bash tools/dist_train.sh configs/t2t_vit_19_imagenet.py 8 --amp
"""

_base_ = ['_base_/recipes/t2t_vit_imagenet.py']

model = dict(backbone=dict(arch='19'), head=dict(in_channels=448))

# the authors' command for T2T-ViT-19, -24, _t-19 and _t-24: --weight-decay .065
optim_wrapper = dict(optimizer=dict(weight_decay=0.065))
