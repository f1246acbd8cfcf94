"""TNT-S on CIFAR-100 at 384 pixels, 64 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_s_cifar100.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 90.1.
"""

_base_ = ['tnt_s_cifar10.py']

model = dict(data_preprocessor=dict(num_classes=100), head=dict(num_classes=100))
train_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100/'))
val_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100/'))
test_dataloader = val_dataloader
