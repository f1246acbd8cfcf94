"""What training sees, behind the pipelines of the three libraries."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from tnt_backbone.data_checks.training_samples import (
    build_training_data,
    count_classes,
    count_sizes,
    draw_samples,
)


class Data(list):
    """A data set of finished samples."""


def only(**found):
    (sample,) = draw_samples(Data([found]), 1)
    return sample


def test_boxes_are_those_of_the_training_size(tiny_config):
    """Pictures of 64 pixels with a box of 24 x 32 at (16, 16), read at twice the size."""
    cfg = Config.fromfile(tiny_config)
    cfg.train_dataloader.dataset.pipeline[2].scale = (128, 128)
    dataset = build_training_data(cfg)
    samples = list(draw_samples(dataset, 10, seed=3))
    assert len(samples) == 4
    assert len({sample.path for sample in samples}) == 4
    for sample in samples:
        assert sample.pixels.shape == (128, 128, 3)
        np.testing.assert_allclose(sample.boxes, [[32, 32, 80, 96]])
        np.testing.assert_allclose(sample.sides, [np.sqrt(48 * 64)])
        assert sample.pixels[40:90, 40:70].min() > 190  # the bright box lies in the box
    assert count_classes(dataset, 2).tolist() == [2, 2]
    again = list(draw_samples(dataset, 2, seed=3))
    assert [sample.path for sample in again] == [sample.path for sample in samples[:2]]


def test_repeated_data_count_repeatedly(tiny_config):
    cfg = Config.fromfile(tiny_config)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=3, dataset=inner)
    dataset = build_training_data(cfg)
    assert count_classes(dataset, 2).tolist() == [6, 6]
    assert len(list(draw_samples(dataset, 100))) == 12


def test_colours_are_turned_round_for_people():
    blue = torch.zeros(3, 4, 5, dtype=torch.uint8)
    blue[0] = 200  # OpenCV's first channel
    assert only(inputs=blue).pixels[0, 0].tolist() == [0, 0, 200]
    grey = only(inputs=torch.full((1, 4, 5), 7, dtype=torch.uint8)).pixels
    assert grey.shape == (4, 5, 3)
    assert grey[0, 0].tolist() == [7, 7, 7]
    normalised = only(inputs=torch.tensor([-1.0, 0, 1]).reshape(3, 1, 1)).pixels
    assert normalised[0, 0].tolist() == [255, 128, 0]


def test_masks_label_maps_and_labels():
    pixels = torch.zeros(3, 4, 5, dtype=torch.uint8)
    truth = DetDataSample(metainfo={'img_path': 'a.jpg'})
    masks = np.zeros((1, 4, 5), np.uint8)
    masks[0, 1] = 1
    truth.gt_instances = InstanceData(
        bboxes=HorizontalBoxes([[0, 1, 5, 2]]),
        labels=torch.tensor([1]),
        masks=BitmapMasks(masks, 4, 5),
    )  # fmt: skip
    sample = only(inputs=pixels, data_samples=truth)
    assert sample.path == 'a.jpg'
    np.testing.assert_array_equal(sample.masks, masks.astype(bool))
    assert sample.labels.tolist() == [1]
    truth = SegDataSample()
    truth.gt_sem_seg = PixelData(data=torch.arange(20).reshape(1, 4, 5))
    assert only(inputs=pixels, data_samples=truth).label_map[3, 4] == 19
    truth = DataSample().set_gt_label([2, 3])
    assert only(inputs=pixels, data_samples=truth).labels.tolist() == [2, 3]


def test_a_box_that_is_turned_inside_out_has_no_side():
    truth = DetDataSample()
    truth.gt_instances = InstanceData(
        bboxes=HorizontalBoxes([[3, 1, 1, 5], [0, 0, 4, 9]]), labels=torch.tensor([0, 1])
    )
    sample = only(inputs=torch.zeros(3, 9, 9, dtype=torch.uint8), data_samples=truth)
    assert sample.sides.tolist() == [0, 6]


@pytest.mark.parametrize('boxes', [HorizontalBoxes([]), torch.zeros(0, 4), torch.zeros(0)])
def test_a_picture_without_objects_is_background(boxes):
    truth = DetDataSample()
    labels = torch.zeros(0, dtype=torch.long)
    truth.gt_instances = InstanceData(bboxes=boxes, labels=labels, masks=BitmapMasks([], 9, 9))
    sample = only(inputs=torch.zeros(3, 9, 9, dtype=torch.uint8), data_samples=truth)
    assert sample.boxes.shape == (0, 4)
    assert sample.masks.shape == (0, 9, 9)
    assert len(sample.sides) == 0


@pytest.mark.parametrize('lazy_init', [False, True])
def test_data_that_are_read_late_are_read(tiny_config, lazy_init):
    cfg = Config.fromfile(tiny_config)
    cfg.train_dataloader.dataset.lazy_init = lazy_init
    dataset = build_training_data(cfg)
    assert dataset._fully_initialized
    assert len(dataset) == 4


@pytest.mark.parametrize('inputs', [{'a': 1}, None, torch.zeros(3, 2, 4, 5)])
def test_what_is_no_picture_is_refused(inputs):
    with pytest.raises(ValueError, match='inputs'):
        only(inputs=inputs)


def test_sizes_are_counted_once_each():
    sides = np.array([0, 3.9, 4, 15.9, 16, 40, 1000])
    assert count_sizes(sides) == [
        ('0 to 4 (smaller than a word)', 2),
        ('4 to 16 (smaller than a sentence)', 2),
        ('16 to 32', 1),
        ('32 to 96', 1),
        ('96 to 256', 0),
        ('over 256', 1),
    ]


def test_data_without_labels_have_no_counts():
    class Unlabelled:
        def __len__(self):
            return 2

        def get_data_info(self, index):
            return {'img_path': f'{index}.jpg'}

    assert count_classes(Unlabelled(), 2) is None


def test_a_config_without_training_data_is_refused():
    with pytest.raises(ValueError, match='train_dataloader'):
        build_training_data(Config({}))
