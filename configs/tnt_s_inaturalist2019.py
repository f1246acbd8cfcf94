"""TNT-S on iNaturalist 2019 at 384 pixels, 300 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_s_inaturalist2019.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 81.4.
"""

_base_ = ['_base_/recipes/tnt_transfer.py']

custom_imports = dict(
    imports=['tnt_backbone', 'tnt_backbone.engine', 'tnt_backbone.datasets.inaturalist'],
    allow_failed_imports=False,
)

model = dict(data_preprocessor=dict(num_classes=1010), head=dict(num_classes=1010))
train_dataloader = dict(
    dataset=dict(type='INaturalist', data_root='data/inaturalist/', year=2019, split='train')
)
val_dataloader = dict(
    dataset=dict(type='INaturalist', data_root='data/inaturalist/', year=2019, split='val')
)
test_dataloader = val_dataloader
