"""UPerNet with PyramidTNT-B on ADE20K, sharded over the GPUs with FSDP2: 8 GPUs x 2 images.

bash tools/dist_train.sh configs/upernet_pyramid_tnt_b_ade20k_fsdp2.py 8 --amp

No number was published.
"""

_base_ = ['upernet_pyramid_tnt_s_ade20k.py', '_base_/runtimes/fsdp2.py']

model = dict(
    backbone=dict(arch='b', init_cfg=dict(checkpoint='tnt://pyramid_tnt_b')),
    decode_head=dict(in_channels=[256, 512, 1024, 1024]),
    auxiliary_head=dict(in_channels=1024),
)
