"""UPerNet with PyramidTNT-S on Cityscapes, 160k iterations from ImageNet weights: 8 GPUs x 2.

To reach: no paper has this pair. The recipe is that of ADE20K, on crops of 512 x 1024 pixels.

bash tools/dist_train.sh configs/upernet_pyramid_tnt_s_cityscapes.py 8 --amp
"""

_base_ = [
    '_base_/models/upernet.py',
    '_base_/backbones/pyramid_tnt_s.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/adamw_160k.py',
    '_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=dict(**_base_.normalization, size=(512, 1024)),
    backbone=dict(**_base_.backbone, drop_path_rate=0.1),
    decode_head=dict(in_channels=[128, 256, 512, 512], num_classes=19),
    auxiliary_head=dict(in_channels=512, num_classes=19),
    test_cfg=dict(crop_size=(512, 1024), stride=(341, 683)),
)
