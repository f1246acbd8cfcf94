"""How findings are told."""

import pytest

from tnt_backbone.data_checks.findings import Finding, notes_unless_error, shorten


def test_long_lists_and_texts_are_shortened():
    assert shorten([]) == ''
    assert shorten([1, 2, 3]) == '1, 2, 3'
    assert shorten([1, 2, 3, 4]) == '1, 2, 3, ...'
    assert shorten('abcde', most=5) == 'a, b, c, d, e'
    assert shorten('abcde', most=4) == 'a, b, c, d, ...'
    assert shorten(['x' * 120, 'y' * 121, 'z']) == f'{"x" * 120}, {"y" * 117}..., z'


def test_all_errors_are_raised_together_and_notes_only_without_them():
    notes = [Finding('box without area', 'a.json', 'one'), Finding('box without area', 'b', '')]
    assert notes_unless_error(notes) == ['a.json: one', 'b: box without area']
    errors = [Finding('label out of range', f'{i}.png', str(i)) for i in (1, 2)]
    with pytest.raises(ValueError, match=r'^1\.png: 1\n2\.png: 2$'):
        notes_unless_error([notes[0], errors[0], notes[1], errors[1]])
