"""Files that are the old one or the new one: full, read-only and failing disks."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from mmengine.fileio import get_file_backend

from tnt_backbone.engine import safe_file
from tnt_backbone.engine.safe_file import BACKEND, remove_partial_files, write_safely
from tnt_backbone.errors import DiskError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / 'new' / 'a.pth'
    backend = get_file_backend(backend_args={'backend': BACKEND})
    backend.put(b'old', str(path))
    write_safely(path, bytes(range(256)) * 1000)
    assert path.read_bytes() == bytes(range(256)) * 1000
    assert names(path.parent) == ['a.pth']


def failing(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize('step', ['fsync', 'replace'])
@pytest.mark.parametrize('number', [errno.EIO, errno.ENOSPC])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, number):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')
    monkeypatch.setattr(os, step, failing(number))
    with pytest.raises(DiskError, match=rf'a\.pth.*{os.strerror(number)}.*\b3\b.*--resume'):
        write_safely(path, b'new')
    assert path.read_bytes() == b'old'
    assert names(tmp_path) == ['a.pth']


def test_a_disk_that_returns_something_else_is_noticed(tmp_path, monkeypatch):
    """The bytes change between the writing and the reading."""
    path = tmp_path / 'a.pth'

    def damage(descriptor):
        os.pwrite(descriptor, b'X', 70)

    monkeypatch.setattr(safe_file, '_forget_cached', damage)
    monkeypatch.setattr(safe_file, 'CHUNK', 64)
    with pytest.raises(DiskError, match=r'a\.pth.*\b64\b'):
        write_safely(path, bytes(100))
    assert names(tmp_path) == []


FILL = """
import sys
from tnt_backbone.engine.safe_file import write_safely
write_safely(sys.argv[1] + '/a.pth', bytes(600_000))
try:
    write_safely(sys.argv[1] + '/a.pth', bytes(700_000))
except OSError as error:
    print(error)
"""


def test_a_full_disk(tmp_path):
    """The system's own: every write to ``/dev/full`` fails."""
    path = tmp_path / 'a.pth'
    path.write_bytes(b'old')
    (tmp_path / 'a.pth.partial').symlink_to('/dev/full')
    with pytest.raises(DiskError, match=r'a\.pth.*No space left.*\b7,000\b.*--resume'):
        write_safely(path, bytes(7000))
    assert path.read_bytes() == b'old'
    assert names(tmp_path) == ['a.pth']


@pytest.mark.slow
def test_a_small_disk_that_is_full(tmp_path):
    """A disk of 1 MB holds the old file, but not the old and the new one."""
    script = f'mount -t tmpfs -o size=1m none {tmp_path} && "$@" && ls -l {tmp_path}'
    command = ['unshare', '-rm', 'bash', '-c', script, 'bash', sys.executable, '-c', FILL, tmp_path]
    if subprocess.run(['unshare', '-rm', 'true'], check=False).returncode:
        pytest.skip('no disk can be mounted here')
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'No space left on device' in result.stdout
    assert '700,000' in result.stdout
    total, old = result.stdout.splitlines()[-2:]
    assert total.startswith('total')
    assert old.split()[4] == '600000'
    assert old.endswith('a.pth')


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / 'a.pth'
    for seconds in (0.0, 0.003, 0.007, 0.013):
        path.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            while True:
                write_safely(path, os.urandom(1) * 3_000_000)
        while not path.exists():
            time.sleep(0.001)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1
    (tmp_path / 'b.pth.partial').touch()
    assert 'b.pth.partial' in remove_partial_files(tmp_path)
    assert names(tmp_path) == ['a.pth']
