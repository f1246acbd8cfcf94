"""Images of more than 8 bits keep their grey levels."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile

from tnt_backbone.datasets.load_scaled import LoadImageScaled


@pytest.fixture
def ramp(tmp_path):
    """A picture of a 12-bit sensor in a 16-bit file: 256 levels of 0 to 4080."""
    path = tmp_path / 'ramp.png'
    cv2.imwrite(str(path), (np.arange(256, dtype=np.uint16) * 16).reshape(16, 16))
    return {'img_path': str(path)}


def test_levels_of_12_bits(ramp):
    image = LoadImageScaled(max_value=4080).transform(ramp)['img']
    assert image.shape == (16, 16, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 0].ravel(), np.arange(256))
    assert len(np.unique(LoadImageFromFile().transform(ramp)['img'])) == 16  # mmcv's


def test_the_whole_range_of_16_bits_by_default(ramp):
    image = LoadImageScaled(to_float32=True).transform(ramp)['img']
    expected = np.arange(256) * 16 * 255 / 65535
    np.testing.assert_allclose(image[..., 1].ravel(), expected, rtol=1e-5)


def test_8_bits_stay_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), pixels)
    np.testing.assert_array_equal(
        LoadImageScaled().transform({'img_path': str(path)})['img'], pixels
    )


def test_bad_values_and_files(tmp_path):
    with pytest.raises(ValueError, match='max_value'):
        LoadImageScaled(max_value=0)
    (tmp_path / 'a.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'a\.png'):
        LoadImageScaled().transform({'img_path': str(tmp_path / 'a.png')})
