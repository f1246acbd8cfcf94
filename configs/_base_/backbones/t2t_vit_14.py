"""T2T-ViT-14 from ImageNet weights: model.backbone; normalization as model.data_preprocessor.

Four maps at strides 4, 8, 16 and 32: the two soft splits, the middle block and the last. They are
64, 64, 384 and 384 wide, which the config states as neck.in_channels. T2T-ViT's paper
(https://arxiv.org/abs/2101.11986) has no detectors: all of this is our choice.
"""

_base_ = ['t2t_vit.py']

backbone = dict(
    type='tnt_backbone.T2TViT',
    arch='14',
    out_channels=None,  # the native widths
    init_cfg=dict(type='Pretrained', checkpoint='tnt://t2t_vit_14'),
)
