"""12 epochs of AdamW: learning rate 1e-4, divided by 10 after epochs 8 and 11, weight decay 0.05.

So PyramidTNT was trained on COCO; TNT's paper gives 12 epochs and names no optimizer. The warm-up
is that of MMDetection's configs/swin; the limit of the gradient norm is our choice.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
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
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]

# 8 GPUs x 2 images = 16; an epoch of COCO has (118287 - 1021 images without annotation) / 16 = 7330
# iterations
auto_scale_lr = dict(enable=False, base_batch_size=16)
