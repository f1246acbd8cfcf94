"""The small TNT of retinanet_tnt_digits.py as a classifier of the demo's single digits.

python -m tnt_backbone.demo data/digits
bash tools/dist_train.sh configs/tnt_digits_classifier.py 2
bash tools/dist_train.sh configs/retinanet_tnt_digits.py 2 \
    --weights work_dirs/tnt_digits_classifier/epoch_10.pth
"""

_base_ = ['tnt_ti_cifar10.py']

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            depth=6,
            word_dims=12,
            word_heads=2,
            sentence_dims=192,
            sentence_heads=3,
        ),
        img_size=128,  # the detector's: the position table fits there, and is resized here
    )
)

data_root = '{{$TNT_DEMO_DATA:data/digits/}}'
metainfo = dict(classes=tuple('0123456789'))
# no flip: a mirrored digit is another one, or none
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix='classification/train',
        metainfo=metainfo,
        pipeline=[dict(type='LoadImageOrSkip'), dict(type='PackInputs')],
    )
)
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix='classification/val', metainfo=metainfo)
)
test_dataloader = val_dataloader

max_epochs = 10
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=1e-5,
        by_epoch=True,
        begin=0,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
]
