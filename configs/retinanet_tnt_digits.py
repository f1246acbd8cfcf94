"""RetinaNet with a small TNT on handwritten digits: the detection of tools/demo.sh.

MMDetection's RetinaNet, cut down to scenes of 128 pixels with digits 23 to 46 pixels high.

python -m tnt_backbone.demo data/digits
bash tools/dist_train.sh configs/retinanet_tnt_digits.py 2 \
    --weights work_dirs/tnt_digits_classifier/iter_2000.pth

From scratch all of it must learn:

bash tools/dist_train.sh configs/retinanet_tnt_digits.py 2 --from-scratch \
    --cfg-options model.backbone.frozen_stages=-1
"""

_base_ = [
    '_base_/models/retinanet.py',
    '_base_/backbones/tnt_digits.py',
    '_base_/datasets/digits_detection.py',
    '_base_/runtimes/detection.py',
    '_base_/schedules/adamw_digits.py',
]
custom_imports = dict(
    imports=['tnt_backbone', 'tnt_backbone.engine', 'tnt_backbone.engine.peak_memory'],
    allow_failed_imports=False,
)

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        **_base_.backbone,
        taps=(5, 5, 5, 5),  # 6 blocks are few: all levels read the last
        out_indices=(1, 2),  # strides 8 and 16
        out_channels=None,  # native: 192
        frozen_stages=2,  # stem and two blocks stay as they are: a sixth less time
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

# 2 processes * 4 images: in the same time, many small steps learn more than few large ones.
max_iters = 660
train_cfg = dict(max_iters=max_iters)
_base_.param_scheduler[0].end = 75
_base_.param_scheduler[1].T_max = max_iters
auto_scale_lr = dict(enable=False, base_batch_size=8)
default_hooks = _base_.digits_hooks
log_processor = _base_.digits_log
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
