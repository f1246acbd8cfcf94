"""Files that would do harm if a program trusted them."""

from pathlib import Path

import torch
from mmengine.config import Config

ARCH = dict(depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3, mlp_ratio=2.0)
BACKBONE = dict(type='tnt_backbone.TNT', arch=ARCH, taps=(0, 0, 1, 1), out_channels=None)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
DETECTOR = dict(
    default_scope='mmdet',
    model=dict(
        type='RetinaNet',
        data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
        backbone=dict(BACKBONE, out_indices=(1, 2, 3)),
        neck=dict(type='FPN', in_channels=[48] * 3, out_channels=16, num_outs=5),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=2,
            in_channels=16,
            feat_channels=16,
            stacked_convs=1,
            anchor_generator=dict(
                type='AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=3,
                ratios=[0.5, 1.0, 2.0],
                strides=[8, 16, 32, 64, 128],
            ),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
        test_cfg=dict(
            nms_pre=10, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5
        ),
    ),
    test_dataloader=dict(
        dataset=dict(type='CocoDataset', metainfo=dict(classes=('box', 'disc')), pipeline=PIPELINE)
    ),
)
SEGMENTOR = dict(
    default_scope='mmseg',
    model=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=BACKBONE,
        decode_head=dict(
            type='FCNHead', in_channels=48, in_index=3, channels=16, num_convs=1, num_classes=2
        ),
        test_cfg=dict(mode='whole'),
    ),
)
CLASSIFIER = dict(
    default_scope='mmpretrain',
    model=dict(
        type='ImageClassifier',
        backbone=dict(type='tnt_backbone.TNT', arch=ARCH, out_type='cls_token'),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=48),
    ),
)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, 'w')


def write_bomb(path: Path, mark: Path, *, zipped: bool = True) -> Path:
    """Write a checkpoint whose unpickling makes the file ``mark``."""
    content = {
        'meta': {'cfg': Config(DETECTOR).pretty_text, 'bomb': Bomb(mark)},
        'state_dict': {'weight': torch.ones(2)},
        'message_hub': {},
        'optimizer': {},
    }
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def write_config_bomb(path: Path, text: str) -> Path:
    """Write a checkpoint that holds a config, in both places where mmengine keeps it."""
    content = {
        'meta': {'cfg': text, 'dataset_meta': {'classes': ('box', 'disc')}},
        'state_dict': {'weight': torch.ones(2)},
        'message_hub': {'runtime_info': {'cfg': text}},
    }
    torch.save(content, path)
    return path
