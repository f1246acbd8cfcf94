"""160 000 iterations of AdamW, learning rate 1e-4 with poly decay, weight decay 0.05, batch 16.

So MMSegmentation trains Mask2Former (configs/mask2former), with a tenth of the rate for the
backbone. It spares norms and embeddings from weight decay; biases are spared here too, as in the
other schedules.
"""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=8000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05, fused=True
    ),
    # no weight decay for norms, biases and embeddings
    constructor='SlowBackboneOptimWrapperConstructor',
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'query_embed': dict(decay_mult=0.0),
            'query_feat': dict(decay_mult=0.0),
            'level_embed': dict(decay_mult=0.0),
            'level_encoding': dict(decay_mult=0.0),  # the pixel decoder's level_embed
            'in_proj_bias': dict(decay_mult=0.0),  # bias_decay_mult does not know the name
        },
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=160000),
]

auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images
