"""What a file's header says beside its pixels."""

import numpy as np
import pytest
from PIL import Image

from tnt_backbone.data_checks.files import _look_at_boxes, _look_at_header

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def kinds(findings):
    return [finding.kind for finding in findings]


@pytest.mark.parametrize(('turn', 'found'), [(1, []), (9, []), (3, [True]), (6, [True])])
def test_a_picture_that_exif_turns_is_named(tmp_path, turn, found):
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(PIXELS).save(path, exif=exif.tobytes())
    expected = ['image that is turned by EXIF' for _ in found]  # 9 has no meaning
    assert kinds(_look_at_header(str(path))) == expected
    # annotations of a tool that read the size of the stored picture
    item = {'path': str(path), 'size': (40, 60), 'categories': {1}, 'boxes': [(1, 1, (0, 0, 9, 9))]}
    problems = _look_at_boxes(item)
    is_wrong = turn == 6
    assert ('image has another size than the annotations say' in kinds(problems)) == is_wrong
    assert any('EXIF' in problem.text for problem in problems) == bool(found)


@pytest.mark.parametrize(
    ('dtype', 'found'),
    [(np.uint8, []), (np.uint16, [True]), (np.int32, [True]), (np.float32, [True])],
)
def test_more_than_8_bits_are_named(tmp_path, dtype, found):
    path = tmp_path / 'a.tif'
    Image.fromarray(PIXELS[..., 0].astype(dtype)).save(path)
    assert kinds(_look_at_header(str(path))) == ['image of more than 8 bits' for _ in found]


def test_what_pillow_cannot_open_is_passed_over(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'no picture')
    assert _look_at_header(str(tmp_path / 'a.jpg')) == []
