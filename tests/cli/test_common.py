"""Options and mistakes that all commands share."""

import errno
import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import MODELS

from tnt_backbone.cli import common
from tnt_backbone.cli.common import errors_of_the_user, make_parser, parse_cfg_options
from tnt_backbone.run.find_config import find_config
from tnt_backbone.variants import get_variant

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    file.stem
    for file in (ROOT / 'tnt_backbone' / 'cli').glob('*.py')
    if (ROOT / 'tools' / file.name).is_file()  # the others are commands of tnt only
)
# Whatever is imported before the command line is read would fail here.
LIGHT = """
import runpy, sys
for name in ('torch', 'mmengine', 'mmcv', 'mmdet', 'numpy', 'cv2'):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""
MISSING = {
    'train': ['nowhere.py'],
    'test': ['nowhere.py', 'nowhere.pth'],
    'check_data': ['nowhere.py'],
    'get_flops': ['nowhere.py'],
    'convert_checkpoint': ['nowhere.pth', 'out.pth'],
    'new_config': ['out.py', '--from', 'nowhere.py', '--backbone', 'tnt_s'],
}


def light(command, *args):
    """Run a tool where neither torch nor any library can be imported."""
    tool = ROOT / 'tools' / f'{command}.py'
    return subprocess.run(
        [sys.executable, '-c', LIGHT, str(tool), *args], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize('command', COMMANDS)
def test_help_needs_no_library(command):
    done = light(command, '--help')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: {command}.py')


@pytest.mark.parametrize('command', COMMANDS)
def test_a_wrong_option_needs_no_library(command):
    done = light(command, *MISSING[command], '--nonsense')
    assert done.returncode == 2
    assert '--nonsense' in done.stderr


@pytest.mark.parametrize('command', COMMANDS)
def test_a_missing_file_needs_no_library(command):
    done = light(command, *MISSING[command])
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f'tools/{command}.py: error: ')
    assert 'nowhere.p' in done.stderr


def test_overrides_are_read_as_mmengine_reads_them(capsys):
    parser = make_parser(None)
    common.add_cfg_options(parser)
    given = ['a.b=1', 'c=[1,2]', "d='x'", 'e=(1,2)', 'f=1.5,2', 'g=None', 'h=True']
    args = parser.parse_args(['--cfg-options', *given, '--cfg-options', 'i=last'])
    assert parse_cfg_options(args.cfg_options) == {
        'a.b': 1, 'c': [1, 2], 'd': 'x', 'e': (1, 2), 'f': [1.5, 2], 'g': None, 'h': True,
        'i': 'last',
    }  # fmt: skip
    assert parse_cfg_options(None) is None
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'model'])
    assert 'KEY=VALUE' in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    common.make_folder(tmp_path / 'new' / 'folder', '--out')
    assert (tmp_path / 'new' / 'folder').is_dir()
    (tmp_path / 'file').write_text('')
    for path in (tmp_path / 'file', tmp_path / 'file' / 'folder'):
        with pytest.raises(ValueError, match=rf'{path}\b.*--out'):
            common.make_folder(path, '--out')
    monkeypatch.setattr(common.os, 'access', lambda path, mode: False)  # root writes everywhere
    with pytest.raises(ValueError, match=rf'{tmp_path}.*--out'):
        common.make_folder(tmp_path, '--out')


def find(config='nowhere.py'):
    """Make a mistake that this package finds."""
    find_config(config)


def test_a_mistake_is_one_message_and_status_2(capsys):
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py'):
        find()
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert re.match(r"tools/train\.py: error: .*'nowhere\.py'", message)
    assert 'Traceback' not in message


def test_other_processes_let_the_first_speak_before_them(monkeypatch, capsys):
    said = []
    monkeypatch.setattr(
        common.time, 'sleep', lambda seconds: said.append((seconds, capsys.readouterr().err))
    )
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit), errors_of_the_user('tools/train.py', launcher='pytorch'):
        find()
    assert said == [(common.OTHERS_WAIT, '')]
    err = capsys.readouterr().err
    assert re.match(r"tools/train\.py: .*\b1: .*'nowhere\.py'", err)


FAULTS = {
    'of another class': lambda: {}['a bug'],
    'in our own code': lambda: get_variant('s', None),
    'of a library': lambda: np.zeros(2).reshape(3),
    'of Python': lambda: int('x'),
    'a file that a library misses': lambda: np.load('nowhere.npy'),
}


@pytest.mark.parametrize('fault', FAULTS.values(), ids=FAULTS)
def test_a_fault_keeps_its_traceback_and_has_status_3(fault, capsys):
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py'):
        fault()
    assert exit_.value.code == 3
    message = capsys.readouterr().err
    assert message.startswith('Traceback')
    assert f'File "{__file__}"' in message


def test_a_data_worker_that_ends_while_a_fault_is_told_changes_no_status(capsys):
    """PyTorch's handler of SIGCHLD raises wherever the main thread is."""

    def handler(*_):
        raise RuntimeError('DataLoader worker is killed')

    class LateError(OSError):
        @property
        def errno(self):  # asked for while it is told
            signal.raise_signal(signal.SIGCHLD)

    before = signal.signal(signal.SIGCHLD, handler)
    try:
        with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py'):
            raise LateError
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert exit_.value.code == 3
    assert 'LateError' in capsys.readouterr().err


@pytest.mark.parametrize('model', [{'type': 'TNTT'}, {'arch': 's'}])
def test_a_type_that_mmengine_does_not_know_is_a_message(model, capsys):
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py'):
        MODELS.build(model)
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert 'Traceback' not in message
    assert ('TNTT' if 'type' in model else '"type"') in message


def test_a_library_that_is_not_installed_is_a_message(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split('.')[0] == 'mmdet']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'path', [])
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py'):
        importlib.import_module('mmdet')
    assert exit_.value.code == 2
    assert re.search(r'\bmmdet\b.*setup_env\.sh', capsys.readouterr().err)


def test_opencv_without_a_display_says_which_package_to_take(tmp_path, monkeypatch, capsys):
    (tmp_path / 'cv2').mkdir()
    (tmp_path / 'cv2/__init__.py').write_text('raise ImportError("libGL.so.1: cannot open")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'cv2', raising=False)
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tnt predict'):
        import cv2  # noqa: F401
    assert exit_.value.code == 2
    assert 'opencv-python-headless' in capsys.readouterr().err


@pytest.mark.parametrize(('number', 'said'), [(errno.ENOSPC, True), (errno.EPIPE, False)])
def test_a_full_disk_is_a_message(number, said):
    message = common.message_of(OSError(number, os.strerror(number), 'a/scalars.json'))
    assert (message is not None) == said
    if said:
        assert re.search(r'a/scalars\.json.*No space left', message)
