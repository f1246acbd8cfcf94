"""Messages of this package, and errors of others."""

import pickle
import re

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tnt_backbone import TNT
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.errors import (
    DiskError,
    ExistingFileError,
    InputError,
    MemoryLimitError,
    MissingFileError,
    NotFiniteError,
    UserError,
)
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
        assert isinstance(error_of(call), UserError)


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
        assert not isinstance(error_of(call), UserError)


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        (InputError, ValueError),
        (MissingFileError, FileNotFoundError),
        (ExistingFileError, FileExistsError),
        (DiskError, OSError),
        (NotFiniteError, ArithmeticError),
        (MemoryLimitError, MemoryError),
    ],
)
def test_a_message_is_what_python_calls_it_and_survives_another_process(kind, expected):
    error = pickle.loads(pickle.dumps(kind('pass --force')))
    assert isinstance(error, expected)
    assert str(error) == 'pass --force'


def test_every_class_of_our_own_errors_is_one():
    """A plain ``ValueError`` of ours would be shown as a crash."""
    raised = re.compile(
        r'raise (?:ValueError|TypeError|FileNotFoundError|FileExistsError|ImportError)\b'
    )
    files = (ROOT / 'tnt_backbone').rglob('*.py')
    assert [str(path) for path in files if raised.search(path.read_text())] == []
