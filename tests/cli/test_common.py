"""Options and mistakes that all commands share."""

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.utils import import_modules_from_strings

from tnt_backbone.cli import common
from tnt_backbone.cli.common import errors_of_the_user, make_parser, parse_cfg_options

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


def test_a_mistake_is_one_message_and_status_2(capsys):
    with pytest.raises(SystemExit) as exit_, errors_of_the_user('tools/train.py'):
        raise FileNotFoundError('no such thing')
    assert exit_.value.code == 2
    assert capsys.readouterr().err == 'tools/train.py: error: no such thing\n'


def test_other_processes_let_the_first_speak_before_them(monkeypatch, capsys):
    said = []
    monkeypatch.setattr(
        common.time, 'sleep', lambda seconds: said.append((seconds, capsys.readouterr().err))
    )
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit), errors_of_the_user('tools/train.py', launcher='pytorch'):
        raise ValueError('alone')
    assert said == [(common.OTHERS_WAIT, '')]
    assert capsys.readouterr().err == 'tools/train.py: error in process 1: alone\n'


def test_a_module_that_cannot_be_imported_says_why(tmp_path, monkeypatch, capsys):
    (tmp_path / 'my_hooks.py').write_text('import nowhere_to_be_found')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit), errors_of_the_user('tools/train.py'):
        import_modules_from_strings(['my_hooks'])
    message = capsys.readouterr().err
    assert 'error: Failed to import my_hooks\n' in message
    assert 'my_hooks.py", line 1' in message
    assert "No module named 'nowhere_to_be_found'" in message


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), errors_of_the_user('tools/train.py'):
        raise KeyError('a bug')
