"""How many threads a network may use."""

import os

import pytest

from tests.exported.test_model import identity
from tnt_backbone.exported.session import num_threads, open_session


@pytest.mark.parametrize('given', ['', '0', '-1', 'many', None])
def test_a_thread_for_each_core_that_may_be_used(monkeypatch, given):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5, 6}, raising=False)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if given is not None:
        monkeypatch.setenv('OMP_NUM_THREADS', given)
    assert num_threads() == 3
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: 7)
    assert num_threads() == 7


def test_the_session_has_the_number_of_threads_that_pytorch_would(monkeypatch, tmp_path):
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    session = open_session(identity(tmp_path / 'a.onnx'))
    options = session._session.get_session_options()
    assert options.intra_op_num_threads == 5
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '0'
