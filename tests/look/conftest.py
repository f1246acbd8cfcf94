"""The small checkpoints and pictures of tests/predict, made once and not changed."""

from functools import cache

import pytest

from tests.predict.conftest import write_checkpoint, write_data
from tnt_backbone import load_model


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """The demo's folder with four pictures of noise and empty annotations."""
    root = tmp_path_factory.mktemp('look') / 'digits'
    write_data(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TNT_DEMO_DATA', f'{root}/')
        yield root


@pytest.fixture(scope='session')
def checkpoint_of(data):
    """Return a function that returns the path of a task's checkpoint."""
    return cache(lambda task: write_checkpoint(task, data.parent)[0])


@pytest.fixture(scope='session')
def model_of(checkpoint_of):
    """Return a function that returns a task's model, on the CPU."""
    return cache(lambda task: load_model(checkpoint_of(task), device='cpu'))
