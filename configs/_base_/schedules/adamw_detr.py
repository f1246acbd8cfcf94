"""50 epochs of AdamW: learning rate 1e-4, divided by 10 after epoch 33, weight decay 1e-4.

TNT's paper (https://arxiv.org/abs/2103.00112) trains DETR for 50 epochs with AdamW and 16 images a
step and otherwise as PVT's (https://arxiv.org/abs/2102.12122), which gives the rates. Weight decay,
the backbone's rate and the limit of the gradient norm are those of MMDetection's
configs/detr/detr_r50_8xb2-150e_coco.py.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4, fused=True),
    # no weight decay for the backbone's norms, biases, class token and position tables
    constructor='SlowBackboneOptimWrapperConstructor',
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=50, milestones=[33], gamma=0.1)
]

auto_scale_lr = dict(enable=False, base_batch_size=16)  # 8 GPUs x 2 images
