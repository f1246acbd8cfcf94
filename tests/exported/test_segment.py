"""Windows and resizing by value against MMSegmentation and torch."""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.models import EncoderDecoder
from torch.nn import functional as F

from tnt_backbone.exported.segment import resize, slide


class Sums:
    """A network: sums of 5 x 5 neighbours, so that the place of a window's edge shows."""

    def run(self, inputs):
        (found,) = inputs
        return [F.avg_pool2d(torch.from_numpy(found), 5, stride=1, padding=2).numpy()]


@pytest.mark.parametrize('size', [(40, 61), (32, 32), (20, 70), (33, 90)])
def test_windows_equal_mmsegs(size):
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    model = EncoderDecoder.__new__(EncoderDecoder)
    torch.nn.Module.__init__(model)
    model.test_cfg = ConfigDict(mode='slide', crop_size=(32, 32), stride=(21, 13))
    model.out_channels = 3
    model.encode_decode = lambda crop, metas: torch.from_numpy(Sums().run([crop.numpy()])[0])
    expected = model.slide_inference(images, [{}]).numpy()
    found = slide(Sums(), images.numpy(), [32, 32], [21, 13])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('shape', [(50, 77), (128, 200), (17, 9), (33, 120)], ids=str)
def test_logits_are_resized_as_by_torch(shape):
    logits = torch.randn(4, 64, 100, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(logits[None], size=shape, mode='bilinear', align_corners=False)[0]
    found = resize(logits.numpy(), shape)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
