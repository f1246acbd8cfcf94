"""Mask2Former with TNT-S on ADE20K, 160k iterations from ImageNet weights: 8 GPUs x 2 images.

To reach: no paper has this pair. The recipe is MMSegmentation's for ResNet-50 and Swin, which have
47.9 and 48.7 mIoU there. It needs MMDetection too.

bash tools/dist_train.sh configs/mask2former_tnt_s_ade20k.py 8 --amp
"""

_base_ = [
    '_base_/models/mask2former_semantic.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/ade20k.py',
    '_base_/schedules/adamw_mask2former_160k.py',
    '_base_/runtimes/segmentation.py',
]

custom_imports = dict(
    imports=['tnt_backbone', 'tnt_backbone.engine', 'mmdet.models'], allow_failed_imports=False
)

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(**_base_.backbone, drop_path_rate=0.1),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
)

resize = dict(
    type='RandomChoiceResize',
    scales=[int(512 * ratio * 0.1) for ratio in range(5, 21)],
    resize_type='ResizeShortestEdge',
    max_size=2048,
)
pipeline = _base_.train_pipeline
train_dataloader = dict(dataset=dict(pipeline=[*pipeline[:2], resize, *pipeline[3:]]))
