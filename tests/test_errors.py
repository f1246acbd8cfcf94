"""Messages of this package, and errors of others."""

import numpy as np
import pytest
import torch

from tnt_backbone import TNT, errors
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.errors import is_message
from tnt_backbone.run.config import read_config
from tnt_backbone.variants import TNT_VARIANTS, get_variant


def error_of(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return caught.value


def read(path):
    return read_config(str(path), options=None, work_dir=None, launcher='none')


def test_what_this_package_raises_on_purpose_is_a_message(tmp_path):
    damaged = tmp_path / 'damaged.pth'
    damaged.write_text('no weights')
    config = tmp_path / 'config.py'
    config.write_text('import nowhere')
    for call in (
        lambda: TNT('xxl'),
        lambda: get_variant(3, TNT_VARIANTS),  # a TypeError
        lambda: TNT('ti')(torch.zeros(1, 4, 16, 16)),
        lambda: read_tensors(str(damaged)),  # raised from an error of torch
        lambda: read(config),  # from an error of the config
        lambda: read(tmp_path / 'nowhere.py'),
    ):
        assert is_message(error_of(call))


def users_own():
    """Code of a user's module, such as one in custom_imports."""
    raise ValueError('x')


def test_what_others_raise_is_none(tmp_path):
    for call in (
        users_own,
        lambda: torch.nn.Conv2d(3, 4, 1, groups=2),  # by a statement of torch
        lambda: np.zeros(2).reshape(3),
        lambda: torch.zeros(2).numpy(force='x', wrong=1),
        lambda: get_variant('s', None),  # ours, but no statement raises it
        lambda: read_tensors(str(tmp_path / 'nowhere.pth')),  # Python's open() does
        lambda: int('x'),
    ):
        assert not is_message(error_of(call))


def test_an_error_that_was_never_raised_is_none():
    assert not is_message(ValueError('x'))


def chained():
    try:
        int('x')
    except ValueError as error:
        raise ValueError('y') from error


def raised_again():
    try:
        int('x')
    except ValueError:
        raise


def unpacked():
    _, _ = (1,)


def generated():
    yield 1
    raise ValueError('x')


@pytest.mark.parametrize(
    ('call', 'expected'),
    [
        (users_own, True),
        (chained, True),
        (lambda: list(generated()), True),
        (lambda: [users_own() for _ in 'a'], True),
        (raised_again, False),
        (unpacked, False),
        (lambda: [int(letter) for letter in 'x'], False),
    ],
)
def test_a_raise_statement_counts_and_no_other_way_to_fail(monkeypatch, call, expected):
    monkeypatch.setattr(errors, 'PACKAGE', __file__)  # as if this file belonged to the package
    assert is_message(error_of(call)) == expected
