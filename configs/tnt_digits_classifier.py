"""A small TNT classifies the demo's single digits: the pretraining of tools/demo.sh.

python -m tnt_backbone.demo data/digits
bash tools/dist_train.sh configs/tnt_digits_classifier.py 2
"""

_base_ = [
    '_base_/models/classifier.py',
    '_base_/backbones/tnt_digits.py',
    '_base_/datasets/digits_classification.py',
    '_base_/runtimes/classification.py',
    '_base_/schedules/adamw_digits.py',
]
custom_imports = dict(
    imports=[
        'tnt_backbone',
        'tnt_backbone.engine',
        'tnt_backbone.engine.peak_memory',
        'tnt_backbone.heads.max_pooling',
    ],
    allow_failed_imports=False,
)

model = dict(
    data_preprocessor=dict(**_base_.normalization, num_classes=10),
    backbone=dict(**_base_.backbone, out_type='featmap'),
    neck=dict(_delete_=True, type='GlobalMaxPooling'),
    head=dict(num_classes=10, in_channels=192, topk=(1,)),
    train_cfg=dict(_delete_=True),  # no mixed images: the run is short
)

# A higher rate than boxes like, but for the position tables.
optim_wrapper = dict(
    optimizer=dict(lr=1.5e-3),
    paramwise_cfg=dict(
        custom_keys=dict(word_pos=dict(lr_mult=1.0), sentence_pos=dict(lr_mult=1.0))
    ),
)
max_iters = 2000
train_cfg = dict(max_iters=max_iters)
_base_.param_scheduler[0].end = 250
_base_.param_scheduler[1].T_max = max_iters
auto_scale_lr = dict(enable=False, base_batch_size=32)  # 2 processes x 16 images
default_hooks = _base_.digits_hooks
log_processor = _base_.digits_log
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
