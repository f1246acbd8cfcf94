"""UPerNet with TNT-B on ADE20K, 160k iterations from ImageNet weights: 8 GPUs x 2 images.

To reach: no paper has this pair. MMSegmentation lists 45.4 mIoU for DeiT-B and 48.0 for Swin-B.
The recipe is its own for Swin; drop path is as with its DeiT.

bash tools/dist_train.sh configs/upernet_tnt_b_ade20k.py 8 --amp
"""

_base_ = ['upernet_tnt_s_ade20k.py']

model = dict(
    backbone=dict(arch='b', init_cfg=dict(checkpoint='tnt://tnt_b')),
    decode_head=dict(in_channels=[640, 640, 640, 640]),
    auxiliary_head=dict(in_channels=640),
)
