"""How many threads a network may use, and for how long."""

import math
import os
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.exported.test_model import identity
from tnt_backbone.exported.session import LateError, num_threads, open_session


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


def test_a_network_is_stopped_when_its_time_is_over(tmp_path):
    """2000 products of matrices of 1500 x 1500 take minutes; small ones are not stopped."""
    nodes = [helper.make_node('MatMul', [f'x{i}', 'x0'], [f'x{i + 1}']) for i in range(2000)]
    x0, last = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', 'n'])
        for name in ('x0', 'x2000')
    )
    opset = [helper.make_opsetid('', 17)]
    model = helper.make_model(helper.make_graph(nodes, 'a', [x0], [last]), opset_imports=opset)
    model.ir_version = 8
    onnx.save(model, tmp_path / 'a.onnx')
    session = open_session(tmp_path / 'a.onnx')
    started = time.monotonic()
    session.end = started + 0.2
    with pytest.raises(LateError):
        session.run([np.zeros((1500, 1500), np.float32)])
    assert time.monotonic() - started < 20
    for end in (math.inf, time.monotonic() + 60):
        session.end = end
        np.testing.assert_array_equal(session.run([np.eye(2, dtype=np.float32)])[0], np.eye(2))
