"""Rows of label files: a box, a polygon, or a box with keypoints that nothing announced."""

import pytest

from tnt_backbone.new_config.labelled import UnusableError
from tnt_backbone.new_config.yolo_rows import read_rows

BOX = '0 0.5 0.5 0.4 0.6'
ROWS = {
    BOX: 0,
    f'{BOX} 0.4 0.4 1 0.6 0.7 2': 2,
    f'{BOX} 0.4 0.4 2 0 0 0 0.6 0.7 2 0.5 0.5 1': 4,  # of an odd number, as a polygon has
    f'{BOX} 0.4 0.4 0.5 0.6 0.7 0.5': 0,  # no visibility
    f'{BOX} 0.1 0.4 1 0.6 0.7 1': 0,  # outside the box
    f'{BOX} 0 0 0 0 0 0': 0,
    '0 0 0 1 0 1 1 0 1': 0,  # a polygon around the whole image
    '0 0 0 1 0 1 1 0 1 0 0': 0,
    '0 0 0 1 0 1 0.5 1 1 0 1': 0,
}


@pytest.mark.parametrize(('row', 'points'), ROWS.items(), ids=ROWS)
def test_keypoints_that_nothing_announced_are_told(tmp_path, row, points):
    path = tmp_path / 'a.txt'
    path.write_text(row)
    if points:
        with pytest.raises(UnusableError, match=rf'kpt_shape: \[{points}, 3\]'):
            read_rows(path, (100, 50), {0: 'cat'})
        (found,) = read_rows(path, (100, 50), {0: 'cat'}, keypoints=3 * points).shapes
        assert found.box == pytest.approx((30, 10, 70, 40))
    else:
        assert len(read_rows(path, (100, 50), {0: 'cat'}).shapes) == 1
