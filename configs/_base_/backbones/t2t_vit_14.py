"""T2T-ViT-14 from ImageNet weights, for the config that uses it as model.backbone.

Four maps at strides 4, 8, 16 and 32: the two soft splits, the middle block and the last. They are
64, 64, 384 and 384 wide, which the config states as neck.in_channels. T2T-ViT's paper
(https://arxiv.org/abs/2101.11986) has no detectors: all of this is our choice.
"""

backbone = dict(
    type='tnt_backbone.T2TViT',
    arch='14',
    out_channels=None,  # the native widths
    init_cfg=dict(type='Pretrained', checkpoint='tnt://t2t_vit_14'),
)
# as model.data_preprocessor. RGB, ImageNet's: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) of
# the range 0..1
normalization = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
