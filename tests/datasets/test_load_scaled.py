"""Images of more than 8 bits keep their grey levels."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import BaseStorageBackend, FileClient

from tnt_backbone.datasets.load_image import LoadImageOrSkip
from tnt_backbone.datasets.load_scaled import LoadImageScaled
from tnt_backbone.datasets.relabel import RelabelPixels


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


@pytest.mark.parametrize(
    'color_type',
    ['color', 'color_ignore_orientation', 'grayscale', 'grayscale_ignore_orientation', 'unchanged'],
)
def test_colours_are_those_of_mmcv(tmp_path, color_type):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), dtype=np.uint8)
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), pixels)
    expected = LoadImageFromFile(color_type=color_type).transform({'img_path': str(path)})
    results = LoadImageScaled(color_type=color_type).transform({'img_path': str(path)})
    np.testing.assert_array_equal(results['img'], expected['img'])
    assert results['img_shape'] == expected['img_shape']


def test_arguments_of_mmcv_have_their_effect_or_are_refused(tmp_path):
    gone = {'img_path': str(tmp_path / 'gone.png')}
    assert LoadImageScaled(ignore_empty=True).transform(dict(gone)) is None
    with pytest.raises(FileNotFoundError):
        LoadImageScaled().transform(dict(gone))
    with pytest.raises(ValueError, match='imdecode_backend'):
        LoadImageScaled(imdecode_backend='pillow')
    with pytest.raises(ValueError, match='color_type'):
        LoadImageScaled(color_type='hsv')


@pytest.mark.filterwarnings('ignore:"file_client_args"')
@pytest.mark.parametrize('kind', [LoadImageScaled, LoadImageOrSkip])
def test_files_come_from_where_file_client_args_says(ramp, kind):
    class Elsewhere(BaseStorageBackend):
        def get(self, path):
            with open(path.replace('far://', ''), 'rb') as file:
                return file.read()

        def get_text(self, path):
            raise NotImplementedError

    FileClient.register_backend('far_away', Elsewhere, force=True)
    transform = kind(file_client_args={'backend': 'far_away'})
    found = transform.transform({'img_path': f'far://{ramp["img_path"]}'})['img']
    np.testing.assert_array_equal(found, kind().transform(ramp)['img'])


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_relabelled_pixels(dtype):
    results = {'gt_seg_map': np.array([[0, 7], [255, 7]], dtype)}
    relabel = RelabelPixels({7: 1, 255: 2})
    np.testing.assert_array_equal(relabel.transform(results)['gt_seg_map'], [[0, 1], [2, 1]])


@pytest.mark.parametrize('label', [256, -1])
def test_labels_that_would_become_others_are_refused(label):
    """256 would become 0."""
    results = {'gt_seg_map': np.array([[3, label]]), 'seg_map_path': 'a.png'}
    with pytest.raises(ValueError, match=rf'a\.png.*{label}'):
        RelabelPixels({7: 1}).transform(results)
