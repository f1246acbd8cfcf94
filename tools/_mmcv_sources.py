"""Fetch the source distribution of mmcv and make it compile in minutes.

    python tools/_mmcv_sources.py REQUIREMENT FOLDER [--units N]

``REQUIREMENT`` is ``mmcv==2.1.0`` or ``onedl-mmcv==2.3.6``. ``FOLDER/source`` receives the unpacked
sources, again with each call; ``FOLDER/archive`` keeps what pip downloaded.

With ``--units`` the files of mmcv's operators are joined. Each of them has about 100 lines and
includes PyTorch's headers, which take most of its compile time. A joined file includes many of
them, so that the headers are parsed once. There are ``N`` joined files in each folder; one for each
process of the compiler is best. The original files get the suffix ``.part``, which ``setup.py``
does not compile.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

OPERATORS = Path('mmcv/ops/csrc/pytorch')
SUFFIXES = {'.': '.cpp', 'cpu': '.cpp', 'cuda': '.cu'}  # of the files in each folder of OPERATORS

# Files that define a name which another file of their folder defines too. They are compiled as they
# are.
SEPARATE = {
    '.': set[str](),
    'cpu': {'bezier_align', 'roi_align_rotated', 'rotated_feature_align'},
    'cuda': {
        'bias_act_cuda',
        'box_iou_quadri_cuda',
        'box_iou_rotated_cuda',
        'carafe_naive_cuda',
        'convex_iou',
        'iou3d_cuda',
        'line_nms_cuda',
        'min_area_polygons',
        'nms_quadri_cuda',
        'nms_rotated_cuda',
        'roiaware_pool3d_cuda',
        'roipoint_pool3d_cuda',
        'sparse_reordering',
        'spconv_ops_cuda',
        'upfirdn2d_kernel',
        'voxelization_cuda',
    },
}
LAST = 'psamask.cpp'  # it defines the macros min and max

# Python 3.13 no longer shows in locals() what exec() defined.
OLD_VERSION = """\
        exec(compile(f.read(), version_file, 'exec'))
    return locals()['__version__']
"""
NEW_VERSION = """\
        defined = {}
        exec(compile(f.read(), version_file, 'exec'), defined)
    return defined['__version__']
"""

# pip asks the build backend for the metadata of a download. For mmcv that would run its setup.py,
# which fails on Python 3.13 before it can be repaired. This backend answers from PKG-INFO.
BACKEND = """\
import sys
from email.parser import Parser
from pathlib import Path

__legacy__ = sys.modules[__name__]


def prepare_metadata_for_build_wheel(folder, settings=None):
    text = Path('PKG-INFO').read_text(encoding='utf-8')
    fields = Parser().parsestr(text)
    name = f"{fields['Name'].replace('-', '_')}-{fields['Version']}.dist-info"
    (Path(folder) / name).mkdir()
    (Path(folder) / name / 'METADATA').write_text(text, encoding='utf-8')
    return name
"""


def download(requirement: str, folder: Path) -> Path:
    """Return the source distribution in ``folder``, which pip downloads unless it is there."""
    archives = list(folder.glob('*.tar.gz'))
    if not archives:
        backend = folder / 'backend' / 'setuptools'
        backend.mkdir(parents=True, exist_ok=True)
        (backend / '__init__.py').touch()
        (backend / 'build_meta.py').write_text(BACKEND)
        command = ['pip', 'download', '--no-deps', '--no-build-isolation', '--no-binary', ':all:']
        subprocess.run(
            [sys.executable, '-m', *command, '--dest', str(folder), requirement],
            env=os.environ | {'PYTHONPATH': str(backend.parent)},
            check=True,
        )
        archives = list(folder.glob('*.tar.gz'))
    return archives[0]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the one folder that ``archive`` holds as ``folder``, in place of an older one."""
    shutil.rmtree(folder, ignore_errors=True)
    unpacked = folder.with_name(f'{folder.name}.unpacked')
    with tarfile.open(archive) as file:
        file.extractall(unpacked, filter='data')
    next(unpacked.iterdir()).rename(folder)
    unpacked.rmdir()


def repair(setup: Path) -> None:
    """Let mmcv's ``setup.py`` read its version on Python 3.13 too."""
    setup.write_text(setup.read_text(encoding='utf-8').replace(OLD_VERSION, NEW_VERSION))


def join(folder: Path, suffix: str, separate: set[str], units: int) -> None:
    """Join the files of ``folder`` into at most ``units`` files of similar size."""
    files = [file for file in folder.glob(f'*{suffix}') if file.stem not in separate]
    shares: list[list[Path]] = [[] for _ in range(min(units, len(files)))]
    for file in sorted(files, key=lambda file: (-file.stat().st_size, file.name)):
        min(shares, key=lambda share: sum(other.stat().st_size for other in share)).append(file)
    for number, share in enumerate(shares):
        parts = sorted(share, key=lambda file: (file.name == LAST, file.name))
        # Compilation follows the order of the names: what takes longest comes first.
        joined = folder / f'_joined_{number}{suffix}'
        joined.write_text(''.join(f'#include "{part.name}.part"\n' for part in parts))
        for part in parts:
            part.rename(part.with_name(f'{part.name}.part'))


def main() -> None:
    """Prepare the sources that the command line asks for."""
    parser = argparse.ArgumentParser(description='Fetch and prepare the sources of mmcv.')
    parser.add_argument('requirement', help='mmcv==VERSION or onedl-mmcv==VERSION')
    parser.add_argument('folder', type=Path, help='folder for the archive and the sources')
    parser.add_argument('--units', type=int, metavar='N', help='joined files in each folder')
    args = parser.parse_args()
    source = args.folder / 'source'
    unpack(download(args.requirement, args.folder / 'archive'), source)
    repair(source / 'setup.py')
    if args.units:
        for folder, suffix in SUFFIXES.items():
            join(source / OPERATORS / folder, suffix, SEPARATE[folder], args.units)


if __name__ == '__main__':
    main()
