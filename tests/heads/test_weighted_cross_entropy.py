"""Weights of classes beside ignored pixels, against PyTorch's and MMSegmentation's own losses."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from tnt_backbone.heads.weighted_cross_entropy import WeightedCrossEntropyLoss

WEIGHTS = (0.5, 2.0, 1.0)


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 8, 8, generator=generator, requires_grad=True)
    return scores, torch.randint(3, (2, 8, 8), generator=generator)


def test_it_is_pytorchs_with_ignored_pixels(pixels):
    scores, labels = pixels
    labels[0, :2] = 255
    with pytest.raises(IndexError):  # why it is needed
        CrossEntropyLoss(class_weight=WEIGHTS)(scores, labels, ignore_index=255)
    found = WeightedCrossEntropyLoss(WEIGHTS, loss_weight=0.4)(scores, labels, ignore_index=255)
    expected = 0.4 * F.cross_entropy(scores, labels, torch.tensor(WEIGHTS), ignore_index=255)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, scores)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_it_is_mmsegmentations_without_ignored_pixels(pixels):
    scores, labels = pixels
    weight = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1))
    for given in (None, weight):
        torch.testing.assert_close(
            WeightedCrossEntropyLoss(WEIGHTS)(scores, labels, weight=given),
            CrossEntropyLoss(class_weight=WEIGHTS)(scores, labels, weight=given),
        )


def test_all_pixels_ignored_is_no_loss(pixels):
    scores, labels = pixels
    loss = WeightedCrossEntropyLoss(WEIGHTS)(scores, torch.full_like(labels, 255))
    assert loss == 0
    loss.backward()


def test_a_head_of_mmsegmentation_takes_it(pixels):
    head = MODELS.build(
        dict(
            type='FCNHead',
            in_channels=4,
            channels=4,
            num_convs=1,
            num_classes=3,
            align_corners=False,
            loss_decode=dict(type='tnt_backbone.WeightedCrossEntropyLoss', class_weight=WEIGHTS),
        )
    )
    labels = pixels[1]
    labels[:, 0] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one[None])) for one in labels]
    losses = head.loss((torch.randn(2, 4, 8, 8),), samples, {})
    assert torch.isfinite(losses['loss_ce'])
    losses['loss_ce'].backward()
    assert head.conv_seg.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('weights', [(), (1, 0), (1, -2), (1, float('nan'))])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match='class_weight'):
        WeightedCrossEntropyLoss(weights)


def test_another_number_of_classes_is_refused(pixels):
    with pytest.raises(ValueError, match=r'class_weight has 2 .* 3 classes'):
        WeightedCrossEntropyLoss((1, 2))(*pixels)
