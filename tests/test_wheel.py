"""The wheel is enough: built, put into an environment of its own, used from another folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def run(*command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from a copy of the files that git knows, without network."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    names = run('git', 'ls-files', '-z', cwd=ROOT).split('\0')
    for name in filter(None, names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    backend = 'from setuptools import build_meta; print(build_meta.build_wheel({!r}))'
    run(sys.executable, '-c', backend.format(str(folder)), cwd=source)
    (path,) = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def tnt(wheel, tmp_path_factory):
    """Return a function that runs tnt of an environment that has only the wheel and libraries."""
    folder = tmp_path_factory.mktemp('environment')
    venv.create(folder / 'venv', symlinks=True)
    place = sysconfig.get_path('purelib', vars={'base': str(folder / 'venv')})
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    # the libraries of this environment, behind the wheel, without this checkout
    libraries = sysconfig.get_path('purelib')
    script = f'import sys; sys.path.append({libraries!r})\n'
    script += 'from tnt_backbone.cli.tnt import main\nmain()\n'
    start = folder / 'tnt.py'
    start.write_text(script)
    elsewhere = folder / 'elsewhere'
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}

    def run_tnt(*arguments):
        python = folder / 'venv/bin/python'
        return run(python, start, *arguments, cwd=elsewhere, env=environment)

    run_tnt.folder = elsewhere
    return run_tnt


def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for path in (*ROOT.glob('configs/**/*.py'), *ROOT.glob('configs/**/*.yml')):
        assert f'tnt_backbone/.mim/{path.relative_to(ROOT)}' in names
    for name in ('.mim/tools/dist_train.sh', '.mim/model-index.yml', 'predict/digits.pth'):
        assert f'tnt_backbone/{name}' in names
    assert not [name for name in names if name.startswith(('tests/', 'benchmarks/'))]
    (entry,) = (name for name in names if name.endswith('entry_points.txt'))
    assert 'tnt = tnt_backbone.cli.tnt:main' in zipfile.ZipFile(wheel).read(entry).decode()


def test_configs_come_with_it(tnt):
    names = set(json.loads(tnt('configs', '--json')))
    assert names == {path.stem for path in ROOT.glob('configs/*.py')}
    tnt('configs', 'retinanet_tnt_s_coco', '--copy', 'mine.py')
    assert (tnt.folder / 'mine.py').is_file()


def test_it_predicts_without_network(tnt):
    pixels = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tnt.folder / 'a.png')
    assert 'predictions.json' in tnt('predict', 'tnt://digits', 'a.png', '--score', 0)
    assert json.loads((tnt.folder / 'predictions/predictions.json').read_text())
    assert (tnt.folder / 'predictions/pictures/a.png').is_file()


def test_flops_of_a_config_by_its_name(tnt):
    assert 'RetinaNet' in tnt('flops', 'retinanet_tnt_s_coco', '--shape', 64, 64)
