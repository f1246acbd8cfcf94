"""A small detector, segmentor and classifier with each backbone, and data for them."""

import torch
from mmengine.structures import InstanceData, PixelData
from torch.utils.data import Dataset

SIDE = 64  # pixels
LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')
ARCHS = {
    'TNT': dict(
        depth=4, word_dims=8, word_heads=2, sentence_dims=32, sentence_heads=2, mlp_ratio=2.0
    ),
    'PyramidTNT': dict(
        depths=(2, 1, 1, 1),
        word_dims=(4, 4, 8, 8),
        word_heads=(1, 1, 2, 2),
        sentence_dims=(16, 16, 32, 32),
        sentence_heads=(1, 1, 2, 2),
        mlp_ratio=2.0,
    ),
    'T2TViT': dict(depth=4, embed_dims=32, num_heads=2, mlp_ratio=2.0, token_drop_rate=0.0),
}


def backbone(family, library, **options):
    """Return the config of a backbone, without anything random."""
    options = {'arch': ARCHS[family], 'img_size': SIDE, **options}
    if library == 'mmpretrain':
        kind = 'avg_featmap' if family == 'PyramidTNT' else 'cls_token'
        return dict(type=f'tnt_backbone.{family}', out_type=kind, **options)
    if family != 'PyramidTNT':
        options['taps'] = (0, 1, 2, 3)
    return dict(type=f'tnt_backbone.{family}', out_channels=(16,) * 4, **options)


def model(family, library, **options):
    """Return the config of a model of one of the libraries."""
    part = backbone(family, library, **options)
    if library == 'mmpretrain':
        return dict(
            type='mmpretrain.ImageClassifier',
            data_preprocessor=dict(
                type='mmpretrain.ClsDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3
            ),
            backbone=part,
            head=dict(type='mmpretrain.LinearClsHead', num_classes=5, in_channels=32),
        )
    neck = dict(in_channels=[16] * 4, out_channels=16, num_outs=4)
    normal = dict(mean=[128.0] * 3, std=[64.0] * 3)
    if library == 'mmseg':
        return dict(
            type='mmseg.EncoderDecoder',
            data_preprocessor=dict(
                type='mmseg.SegDataPreProcessor', size=(SIDE, SIDE), seg_pad_val=255, **normal
            ),
            backbone=part,
            neck=dict(type='mmseg.FPN', **neck),
            decode_head=dict(
                type='mmseg.FPNHead',
                in_channels=[16] * 4,
                in_index=[0, 1, 2, 3],
                feature_strides=[4, 8, 16, 32],
                channels=8,
                dropout_ratio=0,
                num_classes=5,
                norm_cfg=dict(type='BN'),
                align_corners=False,
                loss_decode=dict(type='mmseg.CrossEntropyLoss'),
            ),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    return dict(
        type='mmdet.RetinaNet',
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor', pad_size_divisor=32, **normal),
        backbone=part,
        neck=dict(type='mmdet.FPN', **neck),
        bbox_head=dict(
            type='mmdet.RetinaHead',
            num_classes=5,
            in_channels=16,
            stacked_convs=1,
            feat_channels=16,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=1,
                ratios=[1.0],
                strides=[4, 8, 16, 32],
            ),
            loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True),
            loss_bbox=dict(type='mmdet.L1Loss'),
        ),
        train_cfg=dict(
            assigner=dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4),
            sampler=dict(type='mmdet.PseudoSampler'),
            allowed_border=-1,
            pos_weight=-1,
        ),
        test_cfg=dict(nms_pre=50, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5)),
    )


class Samples(Dataset):
    """Images of noise with labels, boxes or label maps.

    The number of boxes differs from image to image, and so does what a detector divides its loss
    by.
    """

    metainfo: dict = {}  # noqa: RUF012

    def __init__(self, library, number):
        self.library, self.number = library, number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        numbers = torch.Generator().manual_seed(1000 + index)
        image = torch.randint(0, 256, (3, SIDE, SIDE), generator=numbers, dtype=torch.uint8)
        return {'inputs': image, 'data_samples': self._labels(index, numbers)}

    def _labels(self, index, numbers):
        size = {'img_shape': (SIDE, SIDE), 'ori_shape': (SIDE, SIDE), 'img_id': index}
        if self.library == 'mmpretrain':
            from mmpretrain.structures import DataSample

            return DataSample().set_gt_label(index % 5)
        if self.library == 'mmseg':
            from mmseg.structures import SegDataSample

            sample = SegDataSample(metainfo=size)
            labels = torch.randint(0, 5, (1, SIDE, SIDE), generator=numbers)
            sample.gt_sem_seg = PixelData(data=labels)
            return sample
        from mmdet.structures import DetDataSample

        count = 1 + index % 3
        corners = torch.rand(count, 2, generator=numbers) * SIDE / 2
        sides = 12 + torch.rand(count, 2, generator=numbers) * (SIDE / 2 - 12)
        sample = DetDataSample(metainfo={**size, 'scale_factor': (1.0, 1.0)})
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corners, corners + sides], 1),
            labels=torch.randint(0, 5, (count,), generator=numbers),
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        )
        return sample
