"""TNT-S on Oxford-IIIT Pets at 384 pixels, 300 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_s_pets.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 94.7.
"""

_base_ = ['_base_/recipes/tnt_transfer.py']

model = dict(data_preprocessor=dict(num_classes=37), head=dict(num_classes=37))
train_dataloader = dict(
    dataset=dict(type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets/', split='trainval')
)
val_dataloader = dict(
    dataset=dict(type='OxfordIIITPet', data_root='data/Oxford-IIIT_Pets/', split='test')
)
test_dataloader = val_dataloader

# an epoch is a few steps
train_cfg = dict(val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10))
