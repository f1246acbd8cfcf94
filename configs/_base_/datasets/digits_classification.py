"""The data set that ``python -m tnt_backbone.demo data/digits`` makes, for classification."""

# for another folder, put TNT_DEMO_DATA=folder/ in front of a command
data_root = '{{$TNT_DEMO_DATA:data/digits/}}'
metainfo = dict(classes=tuple('0123456789'))

# No flip: a mirrored digit is another one, or none.
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]

# Decoding a picture of 64 pixels takes a millisecond: workers would only contend for the cores.
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CustomDataset',
        data_root=data_root,
        data_prefix='classification/train',
        metainfo=metainfo,
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    drop_last=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset',
        data_root=data_root,
        data_prefix='classification/val',
        metainfo=metainfo,
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
