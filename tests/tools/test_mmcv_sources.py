"""tools/_mmcv_sources.py: what of mmcv is compiled, on a made-up source distribution."""

import io
import os
import re
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools/_mmcv_sources.py'
SEPARATE = runpy.run_path(str(TOOL))['SEPARATE']
OPERATORS = 'mmcv/ops/csrc/pytorch'

# As mmcv 2.1.0 reads its version. Running it is an error until it is repaired.
SETUP = """\
def get_version():
    version_file = 'mmcv/version.py'
    with open(version_file, encoding='utf-8') as f:
        exec(compile(f.read(), version_file, 'exec'))
    return locals()['__version__']


if __name__ == '__main__':
    raise RuntimeError('nothing may run this file before it is repaired')
"""
FILES = {
    'setup.py': SETUP,
    'PKG-INFO': 'Metadata-Version: 2.1\nName: mmcv\nVersion: 2.1.0\n',
    'mmcv/version.py': "__version__ = '2.1.0'\n",
    **{f'{OPERATORS}/{name}.cpp': name * 9 for name in ('nms', 'psamask', 'pybind', 'roi_align')},
    **{
        f'{OPERATORS}/cpu/{name}.cpp': name
        for name in ('nms', 'psamask', 'bezier_align', 'roi_align', 'voxelization')
    },
    **{f'{OPERATORS}/cuda/{name}.cu': name for name in ('iou3d_cuda', 'nms_cuda', 'knn_cuda')},
    f'{OPERATORS}/cuda/cudabind.cpp': 'bind',
    f'{OPERATORS}/mlu/nms_mlu.cpp': 'mlu',
}


@pytest.fixture
def prepare(tmp_path):
    """Runs the tool, with a folder as pip's only index; returns the folder of the sources."""
    with tarfile.open(tmp_path / 'mmcv-2.1.0.tar.gz', 'w:gz') as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f'mmcv-2.1.0/{name}')
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))

    def run(*options):
        subprocess.run(
            [sys.executable, TOOL, 'mmcv==2.1.0', tmp_path / 'a folder', *options],
            env=os.environ | {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': tmp_path.as_uri()},
            check=True,
        )
        return tmp_path / 'a folder/source'

    return run


def compiled(folder, suffix):
    """Each file that setup.py would compile, with the originals that it stands for."""
    files = {}
    for file in sorted(folder.glob(f'*{suffix}')):
        included = re.findall(r'^#include "(.+)\.part"$', file.read_text(), flags=re.MULTILINE)
        assert all((folder / f'{name}.part').is_file() for name in included)
        files[file.name] = included or [file.name]
    return files


def test_without_units_only_the_version_is_repaired(prepare):
    source = prepare()
    files = {
        path.relative_to(source).as_posix(): path.read_text()
        for path in source.rglob('*')
        if path.is_file()
    }
    repaired = files.pop('setup.py')
    assert files == {name: text for name, text in FILES.items() if name != 'setup.py'}
    assert 'locals' not in repaired
    version = subprocess.run(
        [sys.executable, '-c', 'import setup; print(setup.get_version())'],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout == '2.1.0\n'


@pytest.mark.parametrize('units', [1, 2, 64])
def test_every_file_is_compiled_once(prepare, units):
    source = prepare('--units', str(units)) / OPERATORS
    for folder, suffix in (('.', '.cpp'), ('cpu', '.cpp'), ('cuda', '.cu')):
        files = compiled(source / folder, suffix)
        originals = [name for names in files.values() for name in names if name != 'cudabind.cpp']
        given = {Path(name).name for name in FILES if Path(name).parent == Path(OPERATORS, folder)}
        assert sorted(originals) == sorted(given - {'cudabind.cpp'})
        joined = {name: names for name, names in files.items() if name.startswith('_joined')}
        separate = {Path(name).stem for name in files if name not in joined}
        assert separate - {'cudabind'} == SEPARATE[folder] & {Path(name).stem for name in given}
        assert len(joined) == min(units, len(given - {'cudabind.cpp'}) - len(separate))
        for names in joined.values():  # psamask.cpp defines macros
            assert 'psamask.cpp' not in names[:-1]
    assert (source / 'cuda/cudabind.cpp').read_text() == 'bind'
    assert (source / 'mlu/nms_mlu.cpp').exists()


def test_joined_files_are_of_similar_size(prepare):
    files = compiled(prepare('--units', '2') / OPERATORS, '.cpp')
    assert list(files.values()) == [['nms.cpp', 'roi_align.cpp'], ['pybind.cpp', 'psamask.cpp']]


def test_a_second_run_starts_from_the_original_files(prepare):
    first = compiled(prepare('--units', '2') / OPERATORS, '.cpp')
    assert compiled(prepare() / OPERATORS, '.cpp').keys().isdisjoint(first)
    assert compiled(prepare('--units', '2') / OPERATORS, '.cpp') == first
