"""Libraries that are missing, broken, fatal or slow: each is a fact, and the others are found."""

import json
import subprocess
import sys
from importlib import metadata

import pytest

from tests.conftest import ROOT
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM
from tnt_backbone.doctor.libraries import check_libraries
from tnt_backbone.doctor.probing import run_probes


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Put modules in front of the installed ones, for other processes only."""
    folder = tmp_path / 'fakes'

    def make(**sources):
        for name, source in sources.items():
            module = folder / name
            module.mkdir(parents=True, exist_ok=True)
            (module / '__init__.py').write_text(source)

    monkeypatch.setenv('PYTHONPATH', str(folder))
    return make


def statuses(facts):
    return {finding.name: finding.status for finding in check_libraries(facts)}


def test_missing_modules_are_found_missing(fakes):
    absent = "raise ModuleNotFoundError(\"No module named '{0}'\", name='{0}')"
    fakes(torch=absent.format('torch'), mmdet=absent.format('mmdet'))
    facts = run_probes(['torch', 'torchvision', 'mmdet'])
    assert facts['torch']['missing'] == 'torch'
    assert facts['torchvision'] == {'name': 'torchvision', 'skipped': 'torch'}
    torch, vision, mmdet = check_libraries(facts)
    assert (torch.status, torch.fix) == (PROBLEM, 'pip install torch==2.11.0')
    assert vision.status == NOTE
    assert 'torch' in vision.text
    assert (mmdet.status, mmdet.text) == (NOTE, 'not installed; its configs cannot be used')


BROKEN = {
    'torchvision of another index': (
        'torchvision',
        "raise RuntimeError('operator torchvision::nms does not exist')",
        '--index-url',
    ),
    'OpenCV without a display': (
        'cv2',
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')",
        'opencv-python-headless',
    ),
    'compiled for another numpy': (
        'pycocotools',
        "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility')",
        'pycocotools',
    ),
    'a package that a library needs': (
        'mmseg',
        "raise ModuleNotFoundError(\"No module named 'einops'\", name='einops')",
        'pip install einops',
    ),
    'what nobody knows': ('numpy', "raise RuntimeError('flux')", 'pip install --force-reinstall'),
}


@pytest.mark.parametrize('case', BROKEN)
def test_broken_modules_say_what_fixes_them(case, fakes):
    name, source, fix = BROKEN[case]
    fakes(**{name: source})
    (finding,) = check_libraries(run_probes([name]))
    assert finding.status == PROBLEM
    assert fix in finding.fix
    assert source.split("'")[1].split('(')[0] in finding.text or 'einops' in finding.text


@pytest.mark.skipif(
    not list(metadata.distributions(name='mmdet')), reason='the onedl fork compares no versions'
)
def test_mmdet_itself_refuses_another_mmcv(fakes):
    """The text is that of MMDetection, which is not changed here."""
    fakes(mmcv="__version__ = '2.2.0'")
    (finding,) = check_libraries(run_probes(['mmdet']))
    assert finding.status == PROBLEM
    assert 'MMCV==2.2.0' in finding.text
    assert finding.fix.endswith('mmcv==2.1.0')


def test_a_module_that_ends_the_process_does_not_end_the_others(fakes):
    fakes(mmdet='import os; os.abort()', mmseg='import sys; sys.exit(5)', mmpretrain='import x_y')
    facts = run_probes(['numpy', 'mmdet', 'mmseg', 'mmpretrain'])
    assert 'SIGABRT' in facts['mmdet']['error']
    assert facts['mmseg']['error'] == 'SystemExit: 5'
    assert facts['mmpretrain']['missing'] == 'x_y'
    assert facts['numpy']['version']
    assert statuses(facts) == {
        'numpy': OK, 'mmdet': PROBLEM, 'mmseg': PROBLEM, 'mmpretrain': PROBLEM,
    }  # fmt: skip


def test_what_needs_a_module_that_ended_the_process_is_not_tried(fakes):
    fakes(numpy='import os; os._exit(9)')
    facts = run_probes(['numpy', 'cv2'])
    assert 'exit status 9' in facts['numpy']['error']
    assert facts['cv2'] == {'name': 'cv2', 'skipped': 'numpy'}


def test_a_module_that_hangs_is_given_up(fakes):
    fakes(mmdet='import time; time.sleep(60)')
    facts = run_probes(['mmdet'], timeout=1)
    assert '1 s' in facts['mmdet']['error']


def test_a_file_in_the_current_folder_is_not_the_library(tmp_path, monkeypatch):
    (tmp_path / 'numpy.py').write_text('raise RuntimeError')
    monkeypatch.chdir(tmp_path)
    assert 'error' not in run_probes(['numpy'])['numpy']


ALL = ('torch', 'torchvision', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmseg')


def test_the_command_works_where_nothing_can_be_imported(fakes, tmp_path):
    fakes(**dict.fromkeys(ALL, "raise ImportError('broken')"), mmpretrain='import os; os.abort()')
    main = 'from tnt_backbone.cli.tnt import main; main()'
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            main,
            'doctor',
            '--json',
            str(ROOT / 'configs/_base_/models/rpn.py'),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert 'Traceback' not in done.stderr
    found = {finding['name']: finding for finding in json.loads(done.stdout)}
    assert found['torch']['status'] == found['numpy']['status'] == PROBLEM
    assert found['mmengine']['status'] == NOTE  # it needs torch
    assert found['config']['status'] == NOTE
    assert found['config']['text'].count('torch') == 1
    assert {'python', 'disk', 'shared memory', 'memory', 'limits'} <= {*found, 'disk'}


@pytest.mark.slow
def test_this_environment_is_in_order():
    """A quarter of a minute: imports everything."""
    facts = run_probes()
    assert {name for name, fact in facts.items() if {'error', 'skipped'} & set(fact)} == set()
    assert facts['mmcv.ops']['compiled'] is not None
    assert PROBLEM not in statuses(facts).values()
