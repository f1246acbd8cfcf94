"""310 epochs of AdamW from scratch: 300 of a cosine from 1e-3 to 1e-5, 10 at 1e-5.

Table 3 of TNT's paper (https://arxiv.org/abs/2103.00112) and the authors' command
(tnt_pytorch/readme.md of huawei-noah's Efficient-AI-Backbones) with the defaults of its train.py.
"""

# --epochs 300, and the script's --cooldown-epochs 10
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=310, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    # --opt adamw --lr 1e-3 --weight-decay .05 --opt-eps 1e-8; the betas are torch's and timm's
    # default. The gradients are not clipped: --clip-grad is not given.
    optimizer=dict(
        type='AdamW', lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05, fused=True
    ),
    # No weight decay for norms, biases, the class token and the position tables, as timm does
    # with the authors' no_weight_decay(). PyramidTNT's relative_pos is not in theirs and decays.
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

# timm's CosineLRScheduler, both steps by epoch: the first epoch runs at 1e-6 to its end. The cosine
# starts under the warm-up, so that epoch 5 goes on at the cosine of epoch 5, as in timm. timm's
# warm-up heads for 1e-3, this one for that cosine: within the warm-up the rates differ by up to
# 0.03 % (5 epochs), 0.2 % (10) and 0.9 % (20), after it by less than 0.04 %.
param_scheduler = [
    # up to epoch 300, not 299, so that the cool-down runs at exactly 1e-5 (the script's --min-lr)
    dict(type='CosineAnnealingLR', T_max=300, eta_min=1e-5, by_epoch=True, begin=0, end=301),
    # --warmup-epochs 5 --warmup-lr 1e-6: in epoch 5, the last before `end`, the factor is 1
    dict(type='LinearLR', start_factor=1e-6 / 1e-3, by_epoch=True, begin=0, end=6),
]

# --model-ema --model-ema-decay 0.99996; what is validated and saved as the model is the average
custom_hooks = [dict(type='EMAHook', momentum=1 - 0.99996, priority='ABOVE_NORMAL')]

# 8 GPUs x 128 images; --auto-scale-lr of tools/train.py scales the rate to other numbers
auto_scale_lr = dict(enable=False, base_batch_size=1024)
