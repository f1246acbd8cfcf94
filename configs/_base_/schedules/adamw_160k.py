"""160 000 iterations of AdamW, learning rate 6e-5 with linear decay, weight decay 0.01, batch 16.

So MMSegmentation trains UPerNet with Swin and DeiT (configs/swin, configs/vit), after 1500
iterations of warm-up.
"""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01, fused=True),
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
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=160000),
]

auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images
