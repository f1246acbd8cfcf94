"""COCO 2017 boxes and masks, the shorter side between 640 and 800 pixels, the longer up to 1333.

PyramidTNT's paper trains its 3x schedules at several scales; which ones is not known to us. These
are those of MMDetection's configs/common/ms_3x_coco-instance.py.
"""

_base_ = ['coco_instance.py']

train_pipeline = [
    dict(type='LoadImageOrSkip'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomResize', scale=[(1333, 640), (1333, 800)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
