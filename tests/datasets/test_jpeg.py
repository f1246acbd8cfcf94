"""JPEGs that were cut off are told from those with more behind the picture."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from tnt_backbone.datasets.jpeg import END, SCAN, is_cut_off


def jpeg(**options):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'jpeg', **options)
    return file.getvalue()


KINDS = [{}, {'progressive': True}, {'quality': 30}, {'subsampling': 0}]


@pytest.mark.parametrize('options', KINDS)
def test_whole_pictures_pass_whatever_stands_behind(options):
    data = jpeg(**options)
    assert not is_cut_off(data)
    video = random.Random(0).randbytes(5000)
    for tail in (b'\0' * 100, video, SCAN + video, END + SCAN + video + SCAN, data[:200]):
        assert not is_cut_off(data + tail)


@pytest.mark.parametrize('options', KINDS)
@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_a_picture_that_was_cut_off_is_told(options, share):
    data = jpeg(**options)
    assert is_cut_off(data[: int(len(data) * share)])


def test_a_thumbnail_is_not_the_end_of_the_picture():
    exif = Image.Exif()
    exif[0x010E] = 'a'
    data = jpeg(exif=exif.tobytes() + jpeg(quality=10)[:2000] + END)
    assert not is_cut_off(data)
    assert is_cut_off(data[: len(data) * 9 // 10])


def test_other_formats_are_not_checked():
    assert not is_cut_off(b'')
    assert not is_cut_off(b'\x89PNG' + SCAN)
