"""TNT-S on iNaturalist 2018 at 384 pixels, 300 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_s_inaturalist2018.py 8 --amp

No number was published: the paper has only iNaturalist 2019.
"""

_base_ = ['tnt_s_inaturalist2019.py']

model = dict(data_preprocessor=dict(num_classes=8142), head=dict(num_classes=8142))
train_dataloader = dict(dataset=dict(year=2018))
val_dataloader = dict(dataset=dict(year=2018))
test_dataloader = val_dataloader
