"""Which packages are installed, as their metadata say: nothing is imported here."""

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from .finding import NOTE, OK, PROBLEM, Finding
from .known_errors import KNOWN_ERRORS

PYTHON = ((3, 11), (3, 13))  # oldest and newest that were tried
# A module, and the distributions that have it. Two of them overwrite each other's files.
DISTRIBUTIONS = {
    'cv2': (
        'opencv-python-headless',
        'opencv-python',
        'opencv-contrib-python',
        'opencv-contrib-python-headless',
    ),
    'mmcv': ('mmcv', 'mmcv-lite', 'mmcv-full', 'onedl-mmcv'),
    'mmengine': ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'mmseg': ('mmsegmentation', 'onedl-mmsegmentation'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
}
# The versions of docs/install.md; tests/doctor/test_packages.py compares them with the pins.
TESTED = {
    'torch': '2.11.0',
    'torchvision': '0.26.0',
    'mmcv': '2.1.0',
    'mmcv-lite': '2.1.0',
    'mmengine': '0.10.7',
    'mmdet': '3.3.0',
    'mmsegmentation': '1.2.2',
    'mmpretrain': '1.2.0',
    'onedl-mmcv': '2.3.6',
    'onedl-mmengine': '0.10.12',
    'onedl-mmdetection': '3.5.1',
    'onedl-mmsegmentation': '1.4.2',
    'onedl-mmpretrain': '1.3.6',
}


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Return those distributions of a list that are installed, with their versions."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def check_python() -> list[Finding]:
    """Compare Python's version with those that were tried."""
    here = '.'.join(map(str, sys.version_info[:3]))
    oldest, newest = PYTHON
    if oldest <= sys.version_info[:2] <= newest:
        return [Finding('python', OK, f'{here}, {sys.executable}')]
    tried = ' to '.join('.'.join(map(str, one)) for one in PYTHON)
    status = PROBLEM if sys.version_info[:2] < oldest else NOTE
    fix = f'uv venv --python {".".join(map(str, newest))}'
    return [Finding('python', status, f'{here}; tried were {tried}', fix)]


def check_versions() -> list[Finding]:
    """Compare the versions of the libraries with those that were tried together."""
    found = installed(tuple(TESTED))
    text = ', '.join(f'{name} {number}' for name, number in found.items()) or 'none is installed'
    # without the local part of a version, such as +cpu
    other = {name: n for name, n in found.items() if n.partition('+')[0] != TESTED[name]}
    if not other:
        return [Finding('versions', OK, text)]
    tried = ', '.join(f'{name} {TESTED[name]}' for name in other)
    fix = 'pip install ' + ' '.join(f'{name}=={TESTED[name]}' for name in other)
    return [Finding('versions', NOTE, f'{text}. This package was tried with {tried}', fix)]


def check_duplicates() -> list[Finding]:
    """Find modules that two distributions have."""
    findings = []
    for module, names in DISTRIBUTIONS.items():
        if len(found := installed(names)) < 2:
            continue
        text = f'{" and ".join(found)} have the same files; the one installed last is in use'
        keep = next(iter(found))
        fix = f'pip uninstall -y {" ".join(found)} && pip install --no-deps {keep}=={found[keep]}'
        if module == 'cv2':  # mmcv asks for opencv-python, and it works where there is a display
            findings.append(Finding('packages of cv2', NOTE, text, KNOWN_ERRORS['two OpenCVs'].fix))
        else:
            findings.append(Finding(f'packages of {module}', PROBLEM, text, fix))
    return findings or [Finding('packages', OK, 'no module is installed twice')]


def check_pkg_resources() -> list[Finding]:
    """Check that setuptools still has what OpenMMLab's releases import."""
    users = installed(('mmengine', 'mmcv'))
    if not users or find_spec('pkg_resources') is not None:
        return [Finding('pkg_resources', OK, 'found' if users else 'nobody needs it')]
    number = installed(('setuptools',)).get('setuptools')
    text = f'missing (setuptools {number}), and {" and ".join(users)} import it'
    return [Finding('pkg_resources', PROBLEM, text, KNOWN_ERRORS['pkg_resources'].fix)]
