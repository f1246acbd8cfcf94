"""TNT-B on Oxford-IIIT Pets at 384 pixels, 300 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_b_pets.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 95.0.
"""

_base_ = ['tnt_s_pets.py']

model = dict(
    backbone=dict(arch='b', init_cfg=dict(checkpoint='tnt://tnt_b')), head=dict(in_channels=640)
)
