"""Pictures of every kind, compared with what Pillow reads, and pictures made to do harm."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tnt_backbone.datasets.decodable import fault_of
from tnt_backbone.datasets.load_image import LoadImageOrSkip
from tnt_backbone.exported.inputs import read
from tnt_backbone.predict.pictures import Picture, UnreadablePictureError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
COLOUR = Image.fromarray(PIXELS)
PICTURES = {
    'grey.png': COLOUR.convert('L'),
    'binary.png': COLOUR.convert('1'),
    'palette.png': COLOUR.convert('P'),
    'alpha.png': Image.fromarray(np.dstack([PIXELS, PIXELS[..., 0]])),
    'grey alpha.png': COLOUR.convert('LA'),
    'cmyk.tif': COLOUR.convert('CMYK'),
    'palette.bmp': COLOUR.convert('P'),
    'grey.pgm': COLOUR.convert('L'),
    'colour.jp2': COLOUR,
    'ein Bild 猫.png': COLOUR,
    'one pixel.png': COLOUR.crop((0, 0, 1, 1)),
    'wide.png': Image.new('RGB', (30000, 1), (3, 4, 5)),
    'high.png': Image.new('RGB', (1, 30000), (3, 4, 5)),
}


@pytest.mark.parametrize('name', PICTURES)
def test_colours_are_those_that_pillow_reads(tmp_path, name):
    PICTURES[name].save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        expected = np.asarray(image.convert('RGB'))[..., ::-1]
    found = LoadImageOrSkip().read(str(tmp_path / name))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_printers_colours_are_nearly_those_that_pillow_reads(tmp_path):
    COLOUR.convert('CMYK').save(tmp_path / 'a.jpg', quality=100)
    with Image.open(tmp_path / 'a.jpg') as image:
        expected = np.asarray(image.convert('RGB'))[..., ::-1].astype(int)
    assert np.abs(LoadImageOrSkip().read(str(tmp_path / 'a.jpg')) - expected).max() <= 2


def test_of_16_bits_the_upper_8_are_kept(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (20, 30), np.uint16)
    Image.fromarray(values).save(tmp_path / 'a.png')
    found = LoadImageOrSkip().read(str(tmp_path / 'a.png'))
    np.testing.assert_array_equal(found, np.repeat((values >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize('form', ['PNG', 'WEBP', 'TIFF'])
def test_of_an_animation_the_first_picture_is_read(tmp_path, form):
    frames = [Image.new('RGB', (9, 7), (40 * i, 9, 9)) for i in range(3)]
    path = tmp_path / f'a.{form.lower()}'
    lossless = {'lossless': True} if form == 'WEBP' else {}
    frames[0].save(path, form, save_all=True, append_images=frames[1:], **lossless)
    assert LoadImageOrSkip().read(str(path))[0, 0].tolist() == [9, 9, 0]


def black_png(side: int) -> bytes:
    """Return a picture of a side whose file is small."""

    def chunk(kind, data):
        check = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + check

    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2 * (side // 8 + 1)))  # two, and no more are needed
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize('side', [24000, 32000, 60000])
def test_a_picture_that_fills_the_memory_is_refused(tmp_path, side):
    path = tmp_path / 'a.png'
    path.write_bytes(black_png(side))
    with pytest.raises(ValueError, match=f'{side**2} pixels'):
        LoadImageOrSkip().read(str(path))
    answer = read(Picture('a', str(path)))  # of exported files
    assert isinstance(answer, UnreadablePictureError)
    assert f'{side**2} pixels' in str(answer)


def test_a_large_picture_is_none_of_them():
    assert fault_of(black_png(20000)) is None  # above Pillow's own limit


@pytest.mark.parametrize('path', ['/dev/zero', '/dev', 'nowhere://a.jpg', 'a\0b', 'a' * 5000])
def test_what_is_no_file_is_not_read(path):
    with pytest.raises((OSError, ValueError)):
        LoadImageOrSkip().read(path)


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / 'a.jpg').touch()
    with pytest.raises(ValueError, match='empty'):
        LoadImageOrSkip().read(str(tmp_path / 'a.jpg'))
