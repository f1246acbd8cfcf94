"""Which stages feed which outputs."""

import pytest
import torch

from tnt_backbone.backbones.outputs import Tap, plan_outputs

OUT_TYPES = ('pyramid', 'avg_featmap', 'raw')


@pytest.mark.parametrize(
    ('out_type', 'out_indices', 'levels', 'used', 'num_stages'),
    [
        ('pyramid', None, (0, 1, 2, 3), (-1, 0, 2, 4), 5),
        ('raw', None, (3,), (4,), 5),
        ('avg_featmap', None, (3,), (4,), 5),
        ('raw', 0, (0,), (-1,), 0),
        ('pyramid', 2, (2,), (2,), 3),
        ('pyramid', (2, 0), (2, 0), (2, -1), 3),
        ('pyramid', [-1, -4], (3, 0), (4, -1), 5),
        ('pyramid', range(2), (0, 1), (-1, 0), 1),
    ],
)
def test_levels_and_the_stages_that_they_need(out_type, out_indices, levels, used, num_stages):
    plan = plan_outputs(5, (-1, 0, 2, 4), out_type, out_indices, OUT_TYPES)
    assert (plan.out_type, plan.out_indices, plan.taps) == (out_type, levels, (-1, 0, 2, 4))
    assert (plan.used_taps, plan.num_stages) == (used, num_stages)
    assert plan.is_whole is (num_stages == 5)


@pytest.mark.parametrize(
    ('out_indices', 'message'),
    [
        ((), r'^out_indices=\(\) .*\b3\b'),
        ((4,), r'^out_indices=\(4,\) .* 0 to 3\b'),
        ((-5,), r'^out_indices=\(-5,\) .* 0 to 3\b'),
        ((0, 1.0), r'^out_indices=\(0, 1\.0\) '),
        ((True,), r'^out_indices=\(True,\) '),
        ((3, -1), r'^out_indices=\(3, -1\) .*twice'),
        ((1, 1), r'^out_indices=\(1, 1\) .*twice'),
        ({1: 2}, r'^out_indices=\{1: 2\} .*dict'),
        ({3, 1}, r'^out_indices=\{1, 3\} .*set'),
    ],
)
def test_bad_levels_are_refused(out_indices, message):
    with pytest.raises(ValueError, match=message):
        plan_outputs(5, (-1, 0, 2, 4), 'pyramid', out_indices, OUT_TYPES)


def test_an_unknown_kind_of_output_is_refused():
    with pytest.raises(ValueError, match=r"^out_type='zoo' .*'pyramid', 'avg_featmap', 'raw'"):
        plan_outputs(5, (-1, 0, 2, 4), 'zoo', None, OUT_TYPES)


@pytest.mark.parametrize('num_prefix', [0, 1, 2])
def test_tokens_become_a_map_line_by_line(num_prefix):
    tokens = torch.randn(2, num_prefix + 6, 4)
    found = Tap(tokens, (2, 3)).to_map()
    assert found.shape == (2, 4, 2, 3)
    for row in range(2):
        for column in range(3):
            expected = tokens[:, num_prefix + 3 * row + column]
            assert torch.equal(found[:, :, row, column], expected)
