"""TNT-S from ImageNet weights: model.backbone, and normalization as model.data_preprocessor.

Four maps at strides 4, 8, 16 and 32 from blocks 3, 6, 9 and 12, as in the paper's A.3
(https://arxiv.org/abs/2103.00112). Each is 384 wide, which the config states as neck.in_channels.
"""

_base_ = ['tnt.py']

backbone = dict(
    type='tnt_backbone.TNT',
    arch='s',
    out_channels=None,  # the native width, 384 on each level
    init_cfg=dict(type='Pretrained', checkpoint='tnt://tnt_s'),
)
