"""TNT-S on CIFAR-10 at 384 pixels, 64 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_s_cifar10.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 98.7.
"""

_base_ = ['_base_/recipes/tnt_transfer.py']

data = dict(_delete_=True, type='CIFAR10', data_root='data/cifar10/', download=False)
model = dict(
    # the files hold RGB images, not BGR ones as OpenCV reads
    data_preprocessor=dict(num_classes=10, to_rgb=False),
    head=dict(num_classes=10),
)
# the data set gives images, not files: nothing to load
train_dataloader = dict(
    dataset=dict(**data, split='train', pipeline=_base_.train_dataloader.dataset.pipeline[1:])
)
val_dataloader = dict(
    dataset=dict(**data, split='test', pipeline=_base_.val_dataloader.dataset.pipeline[1:])
)
test_dataloader = val_dataloader

max_epochs = 64
train_cfg = dict(max_epochs=max_epochs)
_base_.param_scheduler[0].T_max = max_epochs
_base_.param_scheduler[0].end = max_epochs
