"""UPerNet with TNT-S on ADE20K, 160k iterations from ImageNet weights: 8 GPUs x 2 images.

To reach: no paper has this pair. MMSegmentation lists 42.9 mIoU for DeiT-S and 44.4 for Swin-T.
The recipe is its own for Swin; drop path is as with its DeiT.

bash tools/dist_train.sh configs/upernet_tnt_s_ade20k.py 8 --amp
"""

_base_ = [
    '_base_/models/upernet.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/ade20k.py',
    '_base_/schedules/adamw_160k.py',
    '_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, drop_path_rate=0.1),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384),
)
