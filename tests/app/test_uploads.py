"""What is refused before it is decoded."""

import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tnt_backbone.app.uploads import Limits, check_upload
from tnt_backbone.predict.pictures import UnreadablePictureError

SCENE = ROOT / 'docs/images/scene.jpg'  # 128 x 128


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.bmp', '.tiff', '.ppm', '.jp2'])
def test_pictures_within_the_limits_pass(tmp_path, suffix):
    path = str(tmp_path / f'a{suffix}')
    Image.open(SCENE).save(path)
    check_upload(path, Limits(1, 128 * 128 / 1e6, 1))
    with pytest.raises(ValueError, match=rf'a\{suffix}.*128 x 128.*0\.016 mega.*--max-megapixels'):
        check_upload(path, Limits(1, 0.016, 1))


def test_bytes_are_counted_first(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(bytes(2_000_001))
    with pytest.raises(ValueError, match=r'a\.jpg has 2\.0 MB.* 2 are.*--max-megabytes'):
        check_upload(str(path), Limits(megabytes=2))


@pytest.mark.parametrize('side', [10_000, 14_000])  # Pillow warns, and refuses
def test_a_picture_that_is_small_as_a_file_and_large_decoded_is_refused(tmp_path, side):
    path = str(tmp_path / 'a.png')
    Image.new('1', (side, side)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(ValueError, match='--max-megapixels'):
            check_upload(path, Limits())


def faults():
    data = SCENE.read_bytes()
    rng = np.random.default_rng(0)
    return {
        'empty': b'',
        'text': b'hello',
        'noise': rng.bytes(5000),
        'svg': b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>',
        'half a header': data[:20],
        'another signature': b'XX' + data[2:],
        'gif of nothing': b'GIF89a',
    }


@pytest.mark.parametrize('content', faults().values(), ids=faults())
def test_what_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / 'a.jpg'
    path.write_bytes(content)
    with pytest.raises(UnreadablePictureError, match=r'^a\.jpg'):
        check_upload(str(path), Limits())


def test_a_picture_that_is_gone_is_asked_for_again(tmp_path):
    with pytest.raises(UnreadablePictureError, match=r'^a\.jpg.*again'):
        check_upload(str(tmp_path / 'a.jpg'), Limits())


def test_only_the_header_is_read(tmp_path):
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, np.zeros((64, 64, 3), np.uint8))
    data = (tmp_path / 'a.png').read_bytes()
    (tmp_path / 'a.png').write_bytes(data[:60])
    check_upload(path, Limits())  # the model's own reader refuses it
