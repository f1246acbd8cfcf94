"""T2T-ViT-14 on CIFAR-10 at 224 pixels, 60 epochs from ImageNet weights: 1 GPU x 64 images.

bash tools/dist_train.sh configs/t2t_vit_14_cifar10.py 1

To reach: top-1 98.3 in the authors' README, 97.5 in the paper
(https://arxiv.org/abs/2101.11986, Table 5).
"""

_base_ = ['_base_/recipes/t2t_vit_cifar.py']

model = dict(
    backbone=dict(arch='14', init_cfg=dict(type='Pretrained', checkpoint='tnt://t2t_vit_14')),
    head=dict(in_channels=384),
)
