"""T2T-ViT-19 on CIFAR-100 at 224 pixels, 60 epochs from ImageNet weights: 1 GPU x 64 images.

bash tools/dist_train.sh configs/t2t_vit_19_cifar100.py 1

To reach, the paper's number (https://arxiv.org/abs/2101.11986, Table 5): top-1 89.0.
"""

_base_ = ['t2t_vit_14_cifar100.py']

model = dict(
    backbone=dict(arch='19', init_cfg=dict(checkpoint='tnt://t2t_vit_19')),
    head=dict(in_channels=448),
)
