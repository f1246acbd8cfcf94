"""RetinaNet with a small TNT on handwritten digits, from scratch: what tools/demo.sh trains.

MMDetection's RetinaNet, cut down to scenes of 128 pixels with digits 23 to 46 pixels high.
"""

_base_ = [
    '_base_/models/retinanet.py',
    '_base_/datasets/digits_detection.py',
    '_base_/schedules/adamw_1x.py',
    '_base_/default_runtime.py',
]
custom_imports = dict(
    imports=['tnt_backbone', 'tnt_backbone.engine', 'tnt_backbone.demo.peak_memory'],
    allow_failed_imports=False,
)

# Half of TNT-Ti's depth, on patches of 8 pixels: 16 * 16 sentences of 4 * 4 words of 2 pixels.
model = dict(
    backbone=dict(
        type='tnt_backbone.TNT',
        arch=dict(depth=6, word_dims=12, word_heads=2, sentence_dims=192, sentence_heads=3),
        img_size=128,
        patch_size=8,
        word_stride=2,
        taps=(5, 5, 5, 5),  # 6 blocks are few: all levels read the last
        out_indices=(1, 2),  # strides 8 and 16
        out_channels=None,  # native: 192
    ),
    neck=dict(in_channels=[192, 192], out_channels=96, num_outs=2),
    bbox_head=dict(
        num_classes=10,
        in_channels=96,
        feat_channels=96,
        stacked_convs=2,
        # Anchors with sides (roots of their areas) of 18, 23, 29 and 36, 45, 57 pixels, upright as
        # digits are; ones are slim.
        anchor_generator=dict(octave_base_scale=2.25, ratios=[1.2, 1.8, 3.0], strides=[8, 16]),
    ),
    test_cfg=dict(max_per_img=20),
)

# 2 processes * 4 images: many small steps get further in the same time than few large ones.
train_dataloader = dict(batch_size=4)
max_iters = 1250
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=max_iters, val_interval=500)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    # Position tables start near zero; a larger rate lets attention tell places apart sooner.
    paramwise_cfg=dict(
        custom_keys=dict(word_pos=dict(lr_mult=10.0), sentence_pos=dict(lr_mult=10.0))
    ),
)
# Not OneCycleLR: it puts a function into the checkpoint, which safe loading refuses.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, by_epoch=False, begin=0, end=150),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=max_iters),
]
auto_scale_lr = dict(base_batch_size=8)

default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=max_iters, save_best=None),
)
custom_hooks = [dict(type='PeakMemoryHook')]
log_processor = dict(window_size=10, by_epoch=False)
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
randomness = dict(seed=0)
