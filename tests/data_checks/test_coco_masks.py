"""Masks that pycocotools would read wrongly, or end the process at."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from tnt_backbone.data_checks.coco_masks import find_mask_fault

SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1))
)
def test_what_pycocotools_writes_is_accepted(mask):
    height, width = mask.shape
    rle = coco_mask.encode(np.asfortranarray(mask))
    counts = rle['counts'].decode()
    for form in (counts, rle['counts']):
        segmentation = {'size': [height, width], 'counts': form}
        assert find_mask_fault(segmentation, height, width) is None
    assert find_mask_fault({'size': [height, width], 'counts': counts}, height, width + 1)


@given(st.binary(min_size=1, max_size=12))
def test_what_is_accepted_is_a_mask_of_the_image(counts):
    segmentation = {'size': [8, 8], 'counts': counts}
    if find_mask_fault(segmentation, 8, 8) is None:
        mask = coco_mask.decode(segmentation)
        assert coco_mask.area(segmentation) == mask.sum()
        assert np.array_equal(mask, coco_mask.decode(coco_mask.encode(mask)))


@pytest.mark.parametrize(
    'segmentation',
    [
        'text',
        [SQUARE[:5]],
        [SQUARE[:4]],
        [[*SQUARE[:6], float('nan'), 3.0]],  # pycocotools ends the process
        [[*SQUARE[:6], float('inf'), 3.0]],
        [[*SQUARE[:6], 1e9, 3.0]],  # pycocotools needs gigabytes
        [[*SQUARE[:6], 10**400, 3.0]],
        [[*SQUARE[:6], '4', 3.0]],
        [SQUARE, None],
        {'size': [4, 4]},
        {'size': [4, 4], 'counts': [1, 2]},  # the rest is whatever the memory holds
        {'size': [4, 4], 'counts': [1, 200]},
        {'size': [4, 4], 'counts': [-1, 17]},
        {'size': [4, 4], 'counts': [1.5, 14.5]},
        {'size': [4, 4], 'counts': '0'},
        {'size': [4, 4], 'counts': ''},
        {'size': [4, 4], 'counts': 'äö'},
        {'size': [4, 4], 'counts': 'PPPPPPPPPPPPPPPP'},
        {'size': [4, 5], 'counts': [20]},
        {'size': 4, 'counts': [16]},
    ],
)
def test_other_masks_are_refused(segmentation):
    assert find_mask_fault(segmentation, 4, 4)


@pytest.mark.parametrize(
    ('counts', 'words'),
    [
        ([1, 2], '3 pixels.* 16$'),
        ('äö', 'character'),
        ('PPPPPPPPPPPPPPPP', 'cut off'),
        ('P' * 10 + '0', 'too large'),
    ],
)
def test_the_reason_is_said(counts, words):
    assert re.search(words, find_mask_fault({'size': [4, 4], 'counts': counts}, 4, 4))


def test_the_longest_number_is_read_as_pycocotools_reads_it():
    """16 in ten characters: nine say that another one follows."""
    segmentation = {'size': [4, 4], 'counts': chr(48 + 32 + 16) + 'P' * 8 + '0'}
    assert find_mask_fault(segmentation, 4, 4) is None
    assert coco_mask.decode({**segmentation, 'counts': segmentation['counts'].encode()}).sum() == 0


def test_the_distance_of_a_point_grows_with_the_image_only_in_proportion():
    polygon = [[*SQUARE[:6], 1e6, 3.0]]
    assert find_mask_fault(polygon, 300, 9_999)
    assert find_mask_fault(polygon, 300, 10_001) is None


def test_a_polygon_may_reach_over_the_edge():
    assert find_mask_fault([[-20, -20, 60, -20, 60, 60]], 4, 4) is None
