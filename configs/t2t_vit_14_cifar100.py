"""T2T-ViT-14 on CIFAR-100 at 224 pixels, 60 epochs from ImageNet weights: 1 GPU x 64 images.

bash tools/dist_train.sh configs/t2t_vit_14_cifar100.py 1

To reach, the paper's number (https://arxiv.org/abs/2101.11986, Table 5): top-1 88.4.
"""

_base_ = ['t2t_vit_14_cifar10.py']

model = dict(data_preprocessor=dict(num_classes=100), head=dict(num_classes=100))
train_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100/'))
val_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100/'))
test_dataloader = val_dataloader
