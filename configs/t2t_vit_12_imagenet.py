"""T2T-ViT-12 on ImageNet-1k at 224 pixels, 310 epochs from scratch: 8 GPUs x 64 images.

bash tools/dist_train.sh configs/t2t_vit_12_imagenet.py 8 --amp
"""

_base_ = ['_base_/recipes/t2t_vit_imagenet.py']

model = dict(backbone=dict(arch='12'), head=dict(in_channels=256))

# the authors' command for the lite variants: --lr 1e-3 --weight-decay .03
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.03))
_base_.param_scheduler[1].start_factor = 1e-6 / 1e-3
