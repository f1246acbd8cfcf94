"""PyramidTNT-Ti on ImageNet-1k at 192 pixels, 310 epochs from scratch: 8 GPUs x 128 images.

bash tools/dist_train.sh configs/pyramid_tnt_ti_imagenet.py 8 --amp
"""

_base_ = ['_base_/recipes/pyramid_tnt_imagenet.py']

model = dict(backbone=dict(arch='ti'), head=dict(in_channels=320))

_base_.train_dataloader.dataset.pipeline[1].transforms[0][0].scale = 192
_base_.train_dataloader.dataset.pipeline[1].transforms[1][0].scale = 192
_base_.val_dataloader.dataset.pipeline[1].scale = 213  # floor(192 / 0.9)
_base_.val_dataloader.dataset.pipeline[2].crop_size = 192
test_dataloader = _base_.val_dataloader
