"""TNT (https://arxiv.org/abs/2103.00112) from ImageNet weights to other images, at 384 pixels.

The config that uses it adds the data set and its number of classes. The paper (Section 4.3) takes
the settings and the augmentation of its ImageNet runs, and interpolates the position tables, which
the backbone does by itself; CIFAR is trained for 64 epochs and the other sets for 300. It states
neither batch nor learning rate: those are DeiT's for iNaturalist, as its author gives them
(https://github.com/facebookresearch/deit/issues/105).
"""

_base_ = ['tnt_imagenet.py']

model = dict(
    backbone=dict(arch='s', init_cfg=dict(type='Pretrained', checkpoint='tnt://tnt_s')),
    head=dict(in_channels=384),
)

train_dataloader = dict(batch_size=96)  # on each of 8 GPUs
_base_.train_dataloader.dataset.pipeline[1].transforms[0][0].scale = 384
_base_.train_dataloader.dataset.pipeline[1].transforms[1][0].scale = 384
_base_.val_dataloader.dataset.pipeline[1].scale = 426  # floor(384 / 0.9)
_base_.val_dataloader.dataset.pipeline[2].crop_size = 384
test_dataloader = _base_.val_dataloader

max_epochs = 300
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=7.5e-5))
_base_.param_scheduler[0].T_max = max_epochs
_base_.param_scheduler[0].end = max_epochs
_base_.param_scheduler[1].start_factor = 1e-6 / 7.5e-5
# The average over 25 000 steps of the ImageNet recipe would still hold the random classifier when
# the few steps of a small set are over.
custom_hooks = []
auto_scale_lr = dict(base_batch_size=768)
