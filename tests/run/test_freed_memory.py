"""Freed memory that is kept, as the kernel counts the pages that a process touches anew."""

import os
import platform
import subprocess
import sys
import types

import pytest
from mmengine.device import get_device

from tnt_backbone.run import freed_memory

STEPS = """
import resource
import torch
from tnt_backbone.run import freed_memory

kept = {call}
faults = []
for _ in range(6):
    tensors = [torch.zeros(3 * 2**22) for _ in range(2)]  # 48 MiB: glibc never keeps over 32
    del tensors
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(kept, faults[-1] - faults[-2])
"""


def run(call):
    environment = {k: v for k, v in os.environ.items() if k not in freed_memory.VARIABLES}
    process = subprocess.run(
        [sys.executable, '-c', STEPS.format(call=call)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    kept, faults = process.stdout.split()[-2:]
    return kept == 'True', int(faults)


@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc' or get_device() != 'cpu', reason='nothing is set here'
)
def test_a_step_reuses_the_memory_of_the_one_before():
    pages = 96 * 2**20 // os.sysconf('SC_PAGE_SIZE')
    kept, faults = run('freed_memory.keep_freed_memory()')
    assert kept
    assert faults < pages / 1000
    # what it is for: when this fails, it can go (pages may be 512 times as large as the smallest)
    assert run('None')[1] > pages / 1000


def test_keeps_what_a_variable_sets(monkeypatch):
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '131072')
    assert not freed_memory.keep_freed_memory()


def test_changes_nothing_on_a_machine_with_a_gpu(monkeypatch):
    monkeypatch.setattr(freed_memory, 'get_device', lambda: 'cuda')
    assert not freed_memory.keep_freed_memory()


@pytest.mark.parametrize(
    ('refused', 'set_'),
    [((), [freed_memory.MMAP_THRESHOLD, freed_memory.TRIM_THRESHOLD]),
     ((freed_memory.MMAP_THRESHOLD,), [])],
)  # fmt: skip
def test_all_is_set_or_nothing(monkeypatch, refused, set_):
    """Older versions of glibc refuse so large an MMAP_THRESHOLD."""
    done = []

    def mallopt(name, value):
        if name not in refused:
            done.append(name)
        return int(name not in refused)

    for name in freed_memory.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(freed_memory, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(
        freed_memory.ctypes, 'CDLL', lambda name: types.SimpleNamespace(mallopt=mallopt)
    )
    assert freed_memory.keep_freed_memory() == (not refused)
    assert done == set_
