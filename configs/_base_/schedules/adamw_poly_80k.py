"""80 000 iterations of AdamW, learning rate 1e-4 with poly decay, batch 16: PVT's Semantic FPN.

PVT's paper (https://arxiv.org/abs/2102.12122) trains so. Its code (commit 665f8ad) does the same
number of images with twice the batch and rate in half the iterations.
"""

_base_ = ['adamw_poly_40k.py']

train_cfg = dict(max_iters=80000, val_interval=8000)
_base_.param_scheduler[0].end = 80000
