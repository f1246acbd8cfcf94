"""COCO 2017 things and stuff, crops of 1024 x 1024 pixels out of images at 0.1 to 2 times that.

Values are those of MMDetection's configs/mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py.
"""

_base_ = ['coco_panoptic.py']

train_pipeline = [
    dict(type='LoadImageOrSkip', to_float32=True),
    dict(type='LoadPanopticAnnotations', with_bbox=True, with_mask=True, with_seg=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomResize', scale=(1024, 1024), ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type='RandomCrop',
        crop_size=(1024, 1024),
        crop_type='absolute',
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# masks of things are measured too
val_evaluator = [
    _base_.val_evaluator,
    dict(
        type='CocoMetric',
        ann_file='data/coco/annotations/instances_val2017.json',
        metric=['bbox', 'segm'],
    ),
]
test_evaluator = val_evaluator
