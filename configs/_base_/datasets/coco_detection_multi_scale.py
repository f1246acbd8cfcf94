"""COCO 2017 boxes, the shorter side between 640 and 800 pixels, the longer up to 1333.

TNT's paper (https://arxiv.org/abs/2103.00112) trains DETR in this way, and tests at 800.
"""

_base_ = ['coco_detection.py']

train_pipeline = [
    dict(type='LoadImageOrSkip'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=[(1333, 640), (1333, 800)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
