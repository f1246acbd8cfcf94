"""Batches of noise with labels, as the data loaders of MMDetection and MMSegmentation give them.

Each function takes the number of classes and the images' ``(height, width)`` in pixels, and returns
``{'inputs': ..., 'data_samples': ...}`` for a data preprocessor; where predicting wants another
form than training, ``training`` says which.
"""

from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample, ReIDDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

Batch = dict[str, Any]
SIZE = (96, 128)
REID_SIZE = (256, 128)  # MMDetection's re-identification pools maps of 8x4 cells


def image(size: tuple[int, int]) -> Tensor:
    """``(3, H, W)`` of bytes."""
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8)


def detection_sample(classes: int, size: tuple[int, int], **metainfo: Any) -> DetDataSample:
    """Two boxes with labels, masks, numbers for tracking and proposals, and a semantic map."""
    height, width = size
    sample = DetDataSample(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            batch_input_shape=size,
            scale_factor=(1.0, 1.0),
            img_id=0,
            homography_matrix=np.eye(3, dtype=np.float32),
            **metainfo,
        )
    )
    masks = np.zeros((2, height, width), dtype=np.uint8)
    masks[0, 8:70, 4:60] = masks[1, 20:90, 30:90] = 1
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[4.0, 8.0, 60.0, 70.0], [30.0, 20.0, 90.0, 90.0]]),
        labels=torch.tensor([1, 17]) % classes,
        masks=BitmapMasks(masks, height, width),
        instances_ids=torch.tensor([1, 2]),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.randint(0, 50, (1, height, width)))
    return sample


def detection_batch(
    classes: int = 80, size: tuple[int, int] = SIZE, *, training: bool = True
) -> Batch:
    """Two images of different width, or one to predict on, as stock configs load them."""
    height, width = size
    sizes = (size, (height, width - 28))[: 2 if training else 1]
    return {
        'inputs': [image(size) for size in sizes],
        'data_samples': [detection_sample(classes, size) for size in sizes],
    }


def equal_batch(classes: int, size: tuple[int, int], *, training: bool = True) -> Batch:
    """Likewise of one size, as YOLACT has all images."""
    batches = [detection_batch(classes, size, training=False) for _ in range(1 + training)]
    return {key: [batch[key][0] for batch in batches] for key in ('inputs', 'data_samples')}


def proposals_batch(classes: int, size: tuple[int, int], *, training: bool = True) -> Batch:
    """Likewise, with the proposals that a detector without an RPN reads from a file."""
    batch = detection_batch(classes, size, training=training)
    for sample in batch['data_samples']:
        boxes = torch.cat([sample.gt_instances.bboxes + shift for shift in range(5)])
        sample.proposals = InstanceData(bboxes=boxes, scores=torch.linspace(1, 0.1, len(boxes)))
    return batch


def semi_supervised_batch(classes: int, size: tuple[int, int], *, training: bool = True) -> Batch:
    """Labelled images, and unlabelled ones in the teacher's and in the student's view."""
    if not training:
        return detection_batch(classes, size, training=False)
    branches = {name: detection_batch(classes, size) for name in ('sup', 'unsup_teacher')}
    branches['unsup_student'] = detection_batch(classes, size)
    return {
        key: {name: batch[key] for name, batch in branches.items()}
        for key in ('inputs', 'data_samples')
    }


def video_batch(classes: int, size: tuple[int, int], *, training: bool = True) -> Batch:
    """A video of two frames: one to track from, one to track to."""
    video = TrackDataSample(metainfo=dict(key_frames_inds=[0], ref_frames_inds=[1]))
    video.video_data_samples = [
        detection_sample(classes, size, frame_id=i, ori_video_length=2) for i in range(2)
    ]
    return {'inputs': [torch.stack([image(size)] * 2)], 'data_samples': [video]}


def reid_batch(classes: int, size: tuple[int, int], *, training: bool = True) -> Batch:
    """Two persons, twice each; their images have a size of their own."""
    labels = [0, 0, 1, 1]
    return {
        'inputs': [image(REID_SIZE) for _ in labels],
        'data_samples': [ReIDDataSample().set_gt_label(label) for label in labels],
    }


def segmentation_batch(
    classes: int = 19, size: tuple[int, int] = SIZE, *, training: bool = True
) -> Batch:
    """Two images, or one to predict on."""
    samples = []
    for _ in range(2 if training else 1):
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, classes, (1, *size)))
        samples.append(sample)
    return {'inputs': [image(size) for _ in samples], 'data_samples': samples}


# by the type of a model's data preprocessor, but for the last two
BATCHES = {
    'DetDataPreprocessor': detection_batch,
    'BoxInstDataPreprocessor': detection_batch,
    'MultiBranchDataPreprocessor': semi_supervised_batch,
    'TrackDataPreprocessor': video_batch,
    'ReIDDataPreprocessor': reid_batch,
    'SegDataPreProcessor': segmentation_batch,
    'proposals': proposals_batch,  # of detectors without an RPN
    'equal': equal_batch,
}
