"""Segmenter with TNT-S on ADE20K, 160k iterations from ImageNet weights: 8 GPUs x 2 images.

To reach: no paper has this pair. MMSegmentation lists 46.2 mIoU for its ViT-S.
The recipe is that of UPerNet here; Segmenter's own is SGD.

bash tools/dist_train.sh configs/segmenter_tnt_s_ade20k.py 8 --amp
"""

_base_ = [
    '_base_/models/segmenter.py',
    '_base_/backbones/tnt_s.py',
    '_base_/datasets/ade20k.py',
    '_base_/schedules/adamw_160k.py',
    '_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    # the last block's sentences behind the final norm: stride 16
    backbone=dict(**_base_.backbone, out_type='featmap', drop_path_rate=0.1),
    decode_head=dict(in_channels=384, channels=384, embed_dims=384, num_heads=6),
)
# Nor for the embeddings of the classes; bias_decay_mult does not know the name in_proj_bias.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={'cls_emb': dict(decay_mult=0.0), 'in_proj_bias': dict(decay_mult=0.0)}
    )
)
