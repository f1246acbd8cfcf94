"""UPerNet with TNT-Ti on ADE20K, 160k iterations: 8 GPUs x 2 images.

To reach: no paper has this pair, and no weights of TNT-Ti were published: this starts from random
ones. After configs/tnt_ti_imagenet.py, add --weights work_dirs/tnt_ti_imagenet/epoch_310.pth.
The recipe is MMSegmentation's for Swin; drop path is as with its DeiT.

bash tools/dist_train.sh configs/upernet_tnt_ti_ade20k.py 8 --amp
"""

_base_ = ['upernet_tnt_s_ade20k.py']

model = dict(
    backbone=dict(arch='ti', init_cfg=None),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192),
)
