"""Files that are whole or not there, on a disk that is full, read-only or not ours."""

import errno
import os
import resource
import signal

import pytest

from tnt_backbone.cli.common import message_of
from tnt_backbone.errors import InputError
from tnt_backbone.whole_file import ADVICE, whole_file, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_has_its_name_at_the_end_only(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    with whole_file(path) as part:
        part.write_text('one')
        assert part.suffix == '.json'
        assert not path.exists()
    write_whole(path, 'zwei ä')
    assert path.read_text(encoding='utf-8') == 'zwei ä'
    write_whole(path, b'\x00\xff')
    assert path.read_bytes() == b'\x00\xff'
    assert names(path.parent) == ['a.json']


@pytest.mark.parametrize(
    'error', [KeyError('x'), KeyboardInterrupt(), InputError('own'), OSError()]
)
def test_after_an_error_the_old_file_stays(tmp_path, error):
    path = tmp_path / 'a.json'
    path.write_text('old')

    def fail():
        with whole_file(path) as part:
            part.write_text('half')
            raise error

    with pytest.raises(OSError if isinstance(error, OSError) else type(error)):
        fail()
    assert path.read_text() == 'old'
    assert names(tmp_path) == ['a.json']


def test_no_room_is_told_with_the_path(tmp_path):
    """The system's limit of a file's size stands for a full disk: it fails in the same call."""
    path = tmp_path / 'a.json'
    path.write_text('old')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r'a\.json.*ulimit'):
            write_whole(path, 'x' * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == 'old'
    assert names(tmp_path) == ['a.json']


def test_a_path_that_cannot_be_is_told(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder').mkdir()
    for path in (tmp_path / 'file' / 'a.json', tmp_path / 'folder', tmp_path / ('a' * 300)):
        with pytest.raises(OSError, match=path.name):
            write_whole(path, 'x')
    assert names(tmp_path) == ['file', 'folder']


@pytest.mark.parametrize('number', sorted(ADVICE), ids=errno.errorcode.get)
def test_errors_about_paths_are_messages(number):
    message = message_of(OSError(number, os.strerror(number), 'a/b.json'))
    assert message is not None
    assert 'a/b.json' in message
