"""TNT-B on iNaturalist 2019 at 384 pixels, 300 epochs from ImageNet weights: 8 GPUs x 96 images.

bash tools/dist_train.sh configs/tnt_b_inaturalist2019.py 8 --amp

To reach, the paper's number (https://arxiv.org/abs/2103.00112, Table 9): top-1 83.2.
"""

_base_ = ['tnt_s_inaturalist2019.py']

model = dict(
    backbone=dict(arch='b', init_cfg=dict(checkpoint='tnt://tnt_b')), head=dict(in_channels=640)
)
