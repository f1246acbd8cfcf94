"""368750 steps of AdamW, 50 epochs of 16 images: learning rate 1e-4, divided by 10 twice.

Values are those of MMDetection's configs/mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py.
"""

max_iters = 368750
train_cfg = dict(
    type='IterBasedTrainLoop',
    max_iters=max_iters,
    val_interval=5000,
    dynamic_intervals=[(365001, max_iters)],  # from there on, only at the end
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999), fused=True
    ),
    # no weight decay for the backbone's norms, biases, class token and position tables
    constructor='SlowBackboneOptimWrapperConstructor',
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'query_embed': dict(lr_mult=1.0, decay_mult=0.0),
            'query_feat': dict(lr_mult=1.0, decay_mult=0.0),
            'level_embed': dict(lr_mult=1.0, decay_mult=0.0),
        },
        norm_decay_mult=0.0,
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[327778, 355092],
        gamma=0.1,
    )
]

auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images
