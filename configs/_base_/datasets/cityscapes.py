"""Cityscapes, 19 classes, in data/cityscapes: crops of 512 x 1024 pixels, otherwise as ade20k.py.

    data/cityscapes/
      leftImg8bit/{train,val}/<city>/*_leftImg8bit.png            2975 and 500 images
      gtFine/{train,val}/<city>/*_gtFine_labelTrainIds.png        written by cityscapesscripts

Values are those of MMSegmentation's configs/_base_/datasets/cityscapes.py.
"""

_base_ = ['ade20k.py']

data_root = 'data/cityscapes/'

train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = (2048, 1024)
train_pipeline[3].crop_size = (512, 1024)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (2048, 1024)
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(2048 * ratio), int(1024 * ratio)), keep_ratio=True)
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
]

train_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
