"""Semantic FPN with a small TNT on handwritten digits: the segmentation of tools/demo.sh.

bash tools/dist_train.sh configs/fpn_tnt_digits.py 2 \
    --weights work_dirs/retinanet_tnt_digits/iter_660.pth

The backbone stays as the detector left it. From scratch it must learn, more gently:

bash tools/dist_train.sh configs/fpn_tnt_digits.py 2 --from-scratch \
    --cfg-options model.backbone.frozen_stages=-1 optim_wrapper.optimizer.lr=1e-3
"""

_base_ = [
    '_base_/models/semantic_fpn.py',
    '_base_/backbones/tnt_digits.py',
    '_base_/datasets/digits_segmentation.py',
    '_base_/runtimes/segmentation.py',
    '_base_/schedules/adamw_digits.py',
]
custom_imports = dict(
    imports=['tnt_backbone', 'tnt_backbone.engine', 'tnt_backbone.engine.peak_memory'],
    allow_failed_imports=False,
)

model = dict(
    # scenes of any size, unlike crops
    data_preprocessor=dict(
        **_base_.normalization, size=None, size_divisor=16, test_cfg=dict(size_divisor=16)
    ),
    backbone=dict(
        **_base_.backbone,
        taps=(5, 5, 5, 5),  # 6 blocks are few: all levels read the last
        out_indices=(0, 1, 2),  # strides 4, 8 and 16
        out_channels=None,  # native: 192, as the detector's
        # In so few steps a backbone forgets more than it learns: after 600 steps of 2 scenes,
        # mIoU was 0.40 with the backbone at a rate of 3e-4, and 0.49 at 1e-4.
        frozen_stages=6,
    ),
    neck=dict(in_channels=[192, 192, 192], out_channels=64, num_outs=3),
    decode_head=dict(
        in_channels=[64, 64, 64],
        in_index=[0, 1, 2],
        feature_strides=[4, 8, 16],
        channels=64,
        dropout_ratio=0.0,
        num_classes=11,
        norm_cfg=dict(_delete_=True, type='GN', num_groups=8),  # batches are small
        # Nine of ten pixels are background. With the weight of a digit's, they hide all classes.
        loss_decode=dict(class_weight=[0.7] + [1.0] * 10),
    ),
)

optim_wrapper = dict(optimizer=dict(lr=3e-3))  # only neck and head learn
max_iters = 1000
train_cfg = dict(max_iters=max_iters)
_base_.param_scheduler[0].end = 75
_base_.param_scheduler[1].T_max = max_iters
auto_scale_lr = dict(enable=False, base_batch_size=8)  # 2 processes x 4 images
default_hooks = _base_.digits_hooks
log_processor = _base_.digits_log
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
