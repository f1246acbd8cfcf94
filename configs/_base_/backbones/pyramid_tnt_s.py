"""PyramidTNT-S from ImageNet weights: model.backbone; normalization as model.data_preprocessor.

Four maps at strides 4, 8, 16 and 32, with one transposed convolution per stage, as in the paper's
detectors (https://arxiv.org/abs/2201.00978). They are 128, 256, 512 and 512 wide, which the config
states as neck.in_channels.
"""

_base_ = ['pyramid_tnt.py']

backbone = dict(
    type='tnt_backbone.PyramidTNT',
    arch='s',
    out_channels=None,  # the native widths
    # Two images are too few for the stem's BatchNorm: the authors' later detector (CFDT, NeurIPS
    # 2022) froze it. That the stem's convolutions and the position tables stay as pretrained too,
    # as a ResNet's stem does in MMDetection, is our choice. From random weights take
    # frozen_stages=-1 and norm_eval=False.
    frozen_stages=0,
    norm_eval=True,  # also where frozen_stages is set to -1
    init_cfg=dict(type='Pretrained', checkpoint='tnt://pyramid_tnt_s'),
)
