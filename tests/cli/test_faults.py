"""Wrong files, and places that cannot be written, given to every command: the table of both.

A quick core runs in this process. The whole table (slow) runs each command in a fork of a process
that has imported the libraries.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch

from tests.cli.test_predict import DIGITS, run  # noqa: F401 (a fixture)
from tests.conftest import ROOT
from tnt_backbone.cli.tnt import COMMANDS
from tnt_backbone.predict.load import BUILT_IN

SERVER = """
import json, os, sys, tempfile
import cv2, matplotlib.pyplot, mmdet.apis, torch
from tnt_backbone.cli import tnt
import tnt_backbone.predict.load, tnt_backbone.run.runner
torch.set_num_threads(1)
for line in sys.stdin:
    command, folder = json.loads(line)
    printed = tempfile.TemporaryFile('w+')
    child = os.fork()
    if not child:
        for number in (1, 2):
            os.dup2(printed.fileno(), number)
        os.chdir(folder)
        sys.argv = ['tnt', *command]
        status = 0
        try:
            tnt.main()
        except SystemExit as error:
            status = error.code or 0
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    printed.seek(0)
    print(json.dumps([status, printed.read()]), flush=True)
"""
# The superuser may write everywhere, but for these two rights
ORDINARY = [
    'setpriv',
    *(f'--{kind}=-dac_override,-dac_read_search' for kind in ('inh-caps', 'bounding-set')),
]
STOCK = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
PICTURE = 'coco/images/0.jpg'

# What is given for each of these is {given}
WRONG_CHECKPOINTS = (
    *('none.pth', 'text.pth', 'empty.pth', 'folder', 'folder.pth', 'config.pth', 'tiny.py'),
    *('plain.pth', 'list.pth', 'onnx.pth', 'cut.pth', 'tnt://nonsense'),
)
WRONG_EXPORTS = ('none.onnx', 'other.onnx', 'text.onnx')
CHECKPOINT = {
    'predict': ['predict', '{given}', PICTURE, '--out', 'out'],
    'test': ['test', '{given}', '--work-dir', 'out'],
    'test with a config': ['test', 'tiny.py', '{given}', '--work-dir', 'out'],
    'export': ['export', '{given}', '--out', 'out/m.onnx', '--size', '64', '64'],
    'look': ['look', '{given}', PICTURE, '--out', 'out'],
    'embed': ['embed', '{given}', PICTURE, '--out', 'out/v.npz'],
    'publish': ['publish', '{given}', 'out/s.pth'],
    'convert': ['convert', '{given}', 'out/s.pth'],
    'train --weights': ['train', 'tiny.py', '--work-dir', 'out', '--weights', '{given}'],
    'train --resume': ['train', 'tiny.py', '--work-dir', 'out', '--resume', '{given}'],
    'app': ['app', '{given}'],
}
WRONG_SOURCES = ('none.jpg', 'folder', 'tiny.py', 'words.txt', 'empty.txt', 'none*.jpg')
SOURCE = {
    'predict': ['predict', 'digits.pth', '{given}', '--out', 'out'],
    'look': ['look', 'digits.pth', '{given}', '--out', 'out'],
    'embed': ['embed', 'digits.pth', '{given}', '--out', 'out/v.npz'],
    'export': ['export', 'digits.pth', '--out', 'out/m.onnx', '--pictures', '{given}'],
}
WRONG_CONFIGS = (
    'none.py',
    'text.py',
    'weights.py',
    'folder',
    'text.pth',
    'digits.pth',
    'words.txt',
)
CONFIG = {
    'train': ['train', '{given}', '--work-dir', 'out', '--from-scratch'],
    'test': ['test', '{given}', 'digits.pth', '--work-dir', 'out'],
    'check': ['check', '{given}', '--out', 'out/c.json'],
    'browse': ['browse', '{given}', '--out', 'out/b.html'],
    'plan': ['plan', '{given}', '--gpus', '2', '--memory', '12G'],
    'flops': ['flops', '{given}'],
    'new': ['new', 'out/n.py', '--from', '{given}', '--backbone', 'tnt_s'],
    'configs': ['configs', '{given}', '--copy', 'out/n.py'],
    'predict': ['predict', 'digits.pth', PICTURE, '--config', '{given}', '--out', 'out'],
    'export': ['export', 'digits.pth', '--config', '{given}', '--out', 'out/m.onnx'],
}
WRONG_RUNS = ('none', 'folder', 'words.txt', 'digits.pth')
RUN = {'report': ['report', '{given}', '--out', 'out/r.html']}
INPUTS = [
    *((name, CHECKPOINT[name], WRONG_CHECKPOINTS) for name in CHECKPOINT),
    *((name, CHECKPOINT[name], WRONG_EXPORTS) for name in ('predict', 'look', 'embed', 'export')),
    *((name, SOURCE[name], WRONG_SOURCES) for name in SOURCE),
    *((name, CONFIG[name], WRONG_CONFIGS) for name in CONFIG),
    *((name, RUN[name], WRONG_RUNS) for name in RUN),
]
# Where each command writes is {out}; the first ones write one file
FILES = {
    'new': ['new', '{out}/n.py', '--from', STOCK, '--backbone', 'tnt_s'],
    'embed': ['embed', 'work/epoch_1.pth', PICTURE, '--out', '{out}/v.npz'],
    'publish': ['publish', 'work/epoch_1.pth', '{out}/s.pth'],
    'convert': ['convert', 'work/epoch_1.pth', '{out}/s.pth', '--to', 'timm'],
    'convert, safetensors': ['convert', 'work/epoch_1.pth', '{out}/s.safetensors', '--to', 'timm'],
    'browse': ['browse', 'tiny.py', '--out', '{out}/b.html'],
    'report': ['report', 'work', '--out', '{out}/r.html'],
    'check': ['check', 'tiny.py', '--out', '{out}/c.json'],
    'configs': ['configs', 'retinanet_tnt_s_coco', '--copy', '{out}/c.py'],
    'export': ['export', 'work/epoch_1.pth', '--out', '{out}/m.onnx'],
}
FOLDERS = {
    'train': ['train', 'tiny.py', '--from-scratch', '--work-dir', '{out}/t'],
    'test': ['test', 'tiny.py', 'work/epoch_1.pth', '--work-dir', '{out}/t'],
    'predict': ['predict', 'work/epoch_1.pth', PICTURE, '--out', '{out}/p', '--score', '0'],
    'look': ['look', 'work/epoch_1.pth', PICTURE, '--out', '{out}/l'],
}
# Files that a command writes last: they say that it is done
LAST = ('*.pth', 'predictions.json', '*.html')


def fill(command, **values):
    return [part.format(**values) for part in command]


@pytest.fixture
def folder(tmp_path, tiny_config, coco_root):
    """A folder with files that are not what their names say."""
    for name in ('text.pth', 'text.py', 'text.onnx', 'words.txt'):
        (tmp_path / name).write_text('these are words ((\n')
    for name in ('empty.pth', 'empty.txt'):
        (tmp_path / name).touch()
    for name in ('folder', 'folder.pth'):
        (tmp_path / name).mkdir()
    shutil.copy(tiny_config, tmp_path / 'config.pth')
    torch.save({'a': torch.ones(2)}, tmp_path / 'plain.pth')
    shutil.copy(tmp_path / 'plain.pth', tmp_path / 'weights.py')
    torch.save([1, 2], tmp_path / 'list.pth')
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    inputs, outputs = ([helper.make_tensor_value_info(name, kind, [1, 3])] for name in 'xy')
    graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'g', inputs, outputs)
    opset = helper.make_opsetid('', 18)
    onnx.save(
        helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / 'other.onnx'
    )
    shutil.copy(tmp_path / 'other.onnx', tmp_path / 'onnx.pth')
    shutil.copy(BUILT_IN[DIGITS], tmp_path / 'digits.pth')
    with (tmp_path / 'digits.pth').open('rb') as file:
        (tmp_path / 'cut.pth').write_bytes(file.read(100_000))
    return tmp_path


def serve(folder, prefix=()):
    """Yield a function that runs tnt in a folder; return exit status and what it printed."""
    server = subprocess.Popen(
        [*prefix, sys.executable, '-W', 'ignore', '-c', SERVER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'HOME': str(folder)},
    )

    def run_tnt(command, place):
        server.stdin.write(json.dumps([command, str(place)]) + '\n')
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    yield run_tnt
    server.stdin.close()
    server.wait(timeout=60)


@pytest.fixture(scope='module')
def in_a_fork(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp('home'))


@pytest.fixture(scope='module')
def without_rights(tmp_path_factory):
    """As a user that may not write into the folders of others."""
    is_root = os.geteuid() == 0
    if is_root and not shutil.which('setpriv'):
        pytest.skip('needs setpriv')
    yield from serve(tmp_path_factory.mktemp('home'), ORDINARY if is_root else ())


def require_message(status, printed, named):
    assert status == 2, printed[-2000:]
    assert 'Traceback' not in printed
    assert named.rpartition('://')[2] in printed


QUICK = {
    'predict': ('text.pth', 'config.pth', 'cut.pth', 'other.onnx'),
    'publish': ('text.pth', 'onnx.pth', 'plain.pth'),
    'convert': ('folder.pth', 'list.pth'),
    'look': ('other.onnx',),
}


@pytest.mark.parametrize(('name', 'given'), [(n, g) for n, all_ in QUICK.items() for g in all_])
def test_a_wrong_checkpoint_is_named(run, folder, monkeypatch, name, given):  # noqa: F811
    monkeypatch.chdir(folder)
    status, printed = run(*fill(CHECKPOINT[name], given=given))
    require_message(status, printed, '' if given == 'plain.pth' else given)
    assert not [path for path in folder.glob('out/**/*') if path.is_file()]


@pytest.mark.parametrize('name', ['publish', 'configs', 'predict', 'report'])
def test_a_place_below_a_file_is_named(run, tmp_path, coco_root, monkeypatch, name):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'work').mkdir()
    shutil.copy(BUILT_IN[DIGITS], tmp_path / 'work/epoch_1.pth')
    (tmp_path / 'file').write_text('mine')
    status, printed = run(*fill({**FILES, **FOLDERS}[name], out='file'))
    require_message(status, printed, 'file')
    assert (tmp_path / 'file').read_text() == 'mine'


def test_every_command_has_its_faults():
    written = {command[0] for command in [*FILES.values(), *FOLDERS.values()]}
    assert written | {'plan', 'flops', 'doctor', 'app'} == set(COMMANDS)  # these only print
    assert {command[0] for _, command, _ in INPUTS} | {'doctor'} == set(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'command', 'faults'), INPUTS, ids=lambda v: v if isinstance(v, str) else ''
)
def test_a_wrong_input_is_named(in_a_fork, folder, name, command, faults):
    for given in faults:
        status, printed = in_a_fork(fill(command, given=given), folder)
        converts = name in ('convert', 'train --weights')  # they name the keys of other weights
        require_message(status, printed, '' if converts and given == 'plain.pth' else given)
        left = [path for path in folder.glob('out/**/*') if path.is_file()]
        assert not [path for path in left if any(map(path.match, LAST)) or path.name[0] == '.']
        shutil.rmtree(folder / 'out', ignore_errors=True)


@pytest.fixture
def trained(in_a_fork, tmp_path, tiny_config):
    for command in (FOLDERS['train'], FOLDERS['test']):
        given = [part.replace('{out}/t', 'work') for part in command]
        status, printed = in_a_fork(given, tmp_path)
        assert status == 0, printed[-2000:]
    return tmp_path


def try_all(run_tnt, folder, place, renew=lambda: None):
    """Give every command a place that it cannot write to."""
    for name, command in {**FILES, **FOLDERS}.items():
        renew()
        before = {path for path in Path(folder).rglob('*') if 'work' not in path.parts}
        status, printed = run_tnt(fill(command, out=place), folder)
        require_message(status, printed, place)
        new = {path for path in Path(folder).rglob('*') if 'work' not in path.parts} - before
        left = {path for path in new if path.is_file() and 'vis_data' not in path.parts}
        assert not [path for path in left if path.name.startswith('.')], name
        assert not [path for path in left if any(map(path.match, LAST))], name
        assert name in FOLDERS or not left, name


@pytest.mark.slow
def test_a_place_that_is_a_file_is_named(in_a_fork, trained):
    (trained / 'file').write_text('mine')
    try_all(in_a_fork, trained, 'file')
    assert (trained / 'file').read_text() == 'mine'


@pytest.mark.slow
def test_a_folder_of_somebody_else_is_named(without_rights, trained):
    (trained / 'theirs').mkdir(mode=0o555)
    if os.geteuid() == 0:
        os.chown(trained / 'theirs', 65534, 65534)
        (trained / 'theirs').chmod(0o755)
    try_all(without_rights, trained, 'theirs')


def mount(folder, options):
    return subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)], capture_output=True
    ).returncode


@pytest.mark.slow
@pytest.mark.parametrize('options', ['size=4k,nr_inodes=20', 'ro'], ids=['full', 'read-only'])
def test_a_disk_that_takes_nothing_is_named(in_a_fork, trained, options):
    place = trained / 'disk'
    place.mkdir()
    if os.geteuid() or mount(place, options):
        pytest.skip('needs the right to mount')

    def renew():  # what a command has left takes no room from the next
        subprocess.run(['umount', str(place)], check=True)
        assert mount(place, options) == 0
        if 'size' in options:
            (place / 'full').write_bytes(bytes(4096))

    try:
        try_all(in_a_fork, trained, 'disk', renew)
    finally:
        subprocess.run(['umount', str(place)], check=True)
