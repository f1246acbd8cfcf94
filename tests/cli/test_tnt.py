"""The command tnt: what it knows, and that it is quick where nothing slow is needed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tnt_backbone.cli import tnt
from tnt_backbone.run.find_config import CONFIGS, find_config

# Whatever is imported before the command line is read would fail here.
LIGHT = """
import sys
for name in ('torch', 'mmengine', 'mmcv', 'mmdet', 'numpy', 'cv2'):
    sys.modules[name] = None
from tnt_backbone.cli.tnt import main
main()
"""
MISSING = {
    'new': ['out.py', '--from', 'nowhere.py', '--backbone', 'tnt_s'],
    'check': ['nowhere.py'],
    'browse': ['nowhere.py'],
    'report': ['nowhere.png'],
    'train': ['nowhere.py'],
    'test': ['nowhere.py', 'nowhere.pth'],
    'predict': ['nowhere.pth', 'nowhere.png'],
    'look': ['nowhere.pth', 'nowhere.png'],
    'embed': ['nowhere.pth', 'nowhere.png'],
    'publish': ['nowhere.pth', 'out.pth'],
    'export': ['nowhere.pth', '--out', 'out.onnx', '--size', '64', '64'],
    'convert': ['nowhere.pth', 'out.pth'],
    'flops': ['nowhere.py'],
    'plan': ['nowhere.py', '--gpus', '2', '--memory', '12G'],
    'doctor': ['nowhere.py'],
    'app': ['nowhere.pth'],
    'configs': ['nowhere.py'],
}


def light(*args):
    """Run tnt where neither torch nor any library can be imported."""
    return subprocess.run(
        [sys.executable, '-c', LIGHT, *args], capture_output=True, text=True, timeout=60
    )


def test_every_command_has_a_test_here():
    assert set(tnt.COMMANDS) == set(MISSING)


@pytest.mark.parametrize('command', tnt.COMMANDS)
def test_help_needs_no_library(command):
    done = light(command, '--help')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: tnt {command} ')
    assert not re.search(r'tools/\w+\.py', done.stdout)  # a wheel has none


@pytest.mark.parametrize('command', tnt.COMMANDS)
def test_mistakes_need_no_library(command):
    done = light(command, *MISSING[command], '--nonsense')
    assert done.returncode == 2
    assert '--nonsense' in done.stderr
    done = light(command, *MISSING[command])
    assert done.returncode == 2, done.stderr
    assert 'nowhere.p' in done.stderr
    assert 'Traceback' not in done.stderr


def test_without_a_command_all_are_listed():
    for arguments in ([], ['--help']):
        done = light(*arguments)
        assert done.returncode == 0
        assert all(f'  {name} ' in done.stdout for name in tnt.COMMANDS)
    done = light('trian')
    assert (done.returncode, done.stdout) == (2, '')
    assert "'trian'" in done.stderr


def test_gpus_starts_processes(monkeypatch):
    started = []
    monkeypatch.setattr(tnt.os, 'execv', lambda *args: started.append(args))
    monkeypatch.setattr(
        sys, 'argv', ['tnt', 'train', 'a.py', '--gpus', '8', '--amp', '--cfg-options', 'x=1']
    )
    tnt.main()
    ((_, [_, launcher, tool, *rest]),) = started
    assert launcher == str(ROOT / 'tools/_torchrun.py')
    assert tool == str(ROOT / 'tools/train.py')
    assert rest == ['8', 'a.py', '--amp', '--cfg-options', 'x=1']


def test_configs_are_found_by_name():
    path = str(CONFIGS / 'retinanet_tnt_s_coco.py')
    assert find_config('retinanet_tnt_s_coco') == find_config('retinanet_tnt_s_coco.py') == path
    with pytest.raises(FileNotFoundError, match=r'retinanet_tnt_s_coco\.py'):
        find_config('retinanet_tnt_s_cocoo')
    theirs = find_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    assert Path(theirs).is_file()
    with pytest.raises(FileNotFoundError, match=r'mmdet::retinanet/no\.py.*retinanet_r'):
        find_config('mmdet::retinanet/no.py')
    with pytest.raises(FileNotFoundError, match=r'nolib::a\.py'):
        find_config('nolib::a.py')


def test_configs_are_listed_and_copied(tmp_path, monkeypatch):
    done = light('configs', 'mask_rcnn', 'pyramid', '--json')
    found = json.loads(done.stdout)
    assert set(found) == {path.stem for path in CONFIGS.glob('*mask_rcnn*pyramid*.py')}
    assert all(found.values())

    monkeypatch.setattr(
        sys, 'argv', ['tnt', 'configs', 'retinanet_tnt_s_coco', '--copy', f'{tmp_path}/a.py']
    )
    tnt.main()
    from mmengine.config import Config

    copied, original = (
        Config.fromfile(path) for path in (tmp_path / 'a.py', CONFIGS / 'retinanet_tnt_s_coco.py')
    )
    assert copied.to_dict() == original.to_dict()
    with pytest.raises(SystemExit):
        tnt.main()  # it exists
