"""40 000 iterations of AdamW, learning rate 1e-4 with poly decay, batch 16: TNT's Trans2Seg.

The paper's Table 11 names the 40k iterations and refers to PVT's setting: AdamW at 1e-4, poly decay
of power 0.9, batch 16, crops of 512 pixels (https://arxiv.org/abs/2102.12122). Weight decay 1e-4 is
in PVT's Semantic FPN configs (github.com/whai362/PVT, segmentation, commit 665f8ad) and in
Trans2Seg's settings.py (18e172a).
"""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=4000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4, fused=True),
    # no weight decay for norms, biases, the class token and the position tables
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            'cls_token': dict(decay_mult=0.0),
            'word_pos': dict(decay_mult=0.0),
            'sentence_pos': dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=40000),
]

auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images
