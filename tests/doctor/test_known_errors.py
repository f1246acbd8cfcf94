"""Error texts are recognised: those that people wrote, and those that the libraries raise here."""

import errno
import os
import sys

import numpy as np
import pytest
import torch
import torchvision
from mmengine.registry import MODELS, Registry

from tests.conftest import ROOT
from tnt_backbone.doctor.finding import NOTE, PROBLEM
from tnt_backbone.doctor.known_errors import KNOWN_ERRORS, look_into_log, page, recognise

# Copied from public issues of OpenMMLab and PyTorch, not from the table
REPORTED = [
    ('mmcv without operators', "No module named 'mmcv._ext'"),
    ('pkg_resources', "ModuleNotFoundError: No module named 'pkg_resources'"),
    ('versions of mmcv', 'MMCV==2.2.0 is used but incompatible. Please install mmcv>=2.0.0rc4'),
    (
        'safe reading of checkpoints',
        'WeightsUnpickler error: Unsupported global: GLOBAL mmengine.logging.history_buffer.'
        'HistoryBuffer was not an allowed global by default',
    ),
    ("OpenMMLab's host", 'could not resolve host: download.openmmlab.com'),
    ("OpenMMLab's host", '"https://download.openmmlab.com/mmcv": certificate has expired'),
    (
        'GPU newer than torch',
        'NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current '
        'PyTorch installation.',
    ),
    ('mim on Python 3.12', "module 'pkgutil' has no attribute 'ImpImporter'. Did you mean"),
    ('torchvision of another index', 'RuntimeError: operator torchvision::nms does not exist'),
    (
        'compiled for another numpy',
        'numpy.ndarray size changed, may indicate binary incompatibility. Expected 96 from C '
        'header, got 80 from PyObject',
    ),
    ('OpenCV without a display', 'libgthread-2.0.so.0: cannot open shared object file: No such'),
    ('shared memory', 'DataLoader worker (pid 7) is killed by signal: Bus error.'),
    ('open files', 'OSError: [Errno 24] Too many open files'),
    (
        'a process waited too long',
        '[E ProcessGroupNCCL.cpp:828] [Rank 3] Watchdog caught collective operation timeout: '
        'WorkNCCL(SeqNum=1173, OpType=ALLGATHER, Timeout(ms)=1800000)',
    ),
    ('parameters used twice', 'Parameter at index 161 has been marked as ready twice.'),
    (
        'memory of the GPU',
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
        'you tried to allocate 51539607552 bytes.',
    ),
]


@pytest.mark.parametrize(('name', 'text'), REPORTED)
def test_texts_of_issues_are_recognised(name, text):
    found = recognise(text)
    assert found is not None
    assert found.name == name


def build_unregistered(monkeypatch):
    monkeypatch.setattr(MODELS, '_module_dict', {})
    Registry('model', parent=MODELS, scope='empty').build(dict(type='TNT'))


def provoke(name, checkpoint, monkeypatch):
    """Make a library raise its own error."""
    if name == 'safe reading of checkpoints':
        torch.load(checkpoint, weights_only=True)
    elif name == 'classes of the data':
        np.concatenate([])
    elif name == 'boxes in 16 bits':
        torchvision.ops.nms(torch.zeros(1, 4).half(), torch.zeros(1).half(), 0.5)
    elif name == 'unknown type':
        build_unregistered(monkeypatch)
    elif name == 'port in use':
        first = torch.distributed.TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
        torch.distributed.TCPStore('127.0.0.1', first.port, is_master=True, wait_for_workers=False)
    elif name == 'disk is full':
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif name == 'pkg_resources':
        monkeypatch.setattr(sys, 'path', [])
        monkeypatch.delitem(sys.modules, 'pkg_resources', raising=False)
        import pkg_resources  # noqa: F401


@pytest.mark.parametrize(
    'name',
    [
        'safe reading of checkpoints',
        'classes of the data',
        'boxes in 16 bits',
        'unknown type',
        'port in use',
        'disk is full',
        'pkg_resources',
    ],
)
def test_errors_that_libraries_raise_are_recognised(name, checkpoint, monkeypatch):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        provoke(name, checkpoint, monkeypatch)
    found = recognise(f'{type(caught.value).__name__}: {caught.value}')
    assert found is not None
    assert found.name == name


def test_each_example_is_recognised_as_itself():
    assert {name: recognise(error.example).name for name, error in KNOWN_ERRORS.items()} == {
        name: name for name in KNOWN_ERRORS
    }


def test_what_is_no_error_is_not_recognised():
    for text in ('', 'Epoch(train) [1][50/7330] loss: 1.2', "No module named 'my_module'"):
        assert recognise(text) is None


def test_a_log_is_searched_line_by_line():
    log = ['loss: 1.0\n', 'CUDA out of memory\n', 'x\n', 'CUDA out of memory\n', '[Errno 28] No '
           'space left on device\n']  # fmt: skip
    first, second = look_into_log(log)
    assert (first.name, second.name) == ('memory of the GPU', 'disk is full')
    assert first.status == PROBLEM
    assert 'line 2:' in first.text
    assert '--split-batch' in first.fix
    (nothing,) = look_into_log(['loss: 1.0\n'])
    assert nothing.status == NOTE


def test_the_page_is_up_to_date():
    """Make it with ``python -m tnt_backbone.doctor.known_errors > docs/troubleshooting.md``."""
    assert (ROOT / 'docs/troubleshooting.md').read_text() == page()
