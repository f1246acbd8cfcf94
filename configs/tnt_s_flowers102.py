"""TNT-S on Oxford 102 Flowers at 384 pixels, 300 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_s_flowers102.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 98.8.
"""

_base_ = ['_base_/recipes/tnt_transfer.py']

model = dict(data_preprocessor=dict(num_classes=102), head=dict(num_classes=102))
train_dataloader = dict(
    dataset=dict(type='Flowers102', data_root='data/Flowers102/', split='trainval')
)
val_dataloader = dict(dataset=dict(type='Flowers102', data_root='data/Flowers102/', split='test'))
test_dataloader = val_dataloader

# an epoch is a few steps
train_cfg = dict(val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10))
