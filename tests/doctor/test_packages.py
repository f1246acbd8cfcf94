"""Versions and double installations, from the metadata of packages that are made here."""

import re
import sys

import pytest

from tests.conftest import ROOT
from tnt_backbone.doctor import packages
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Let only those packages be installed that a test makes."""
    monkeypatch.setattr('sys.path', [str(tmp_path)])
    monkeypatch.delitem(sys.modules, 'pkg_resources', raising=False)  # another test's libraries

    def make(**versions):
        for name, number in versions.items():
            info = tmp_path / f'{name}-{number}.dist-info'
            info.mkdir()
            name = name.replace('_', '-')
            (info / 'METADATA').write_text(
                f'Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n'
            )

    return make


def test_the_versions_that_were_tried_are_those_of_the_pins():
    pins = dict(
        re.findall(r'^([\w-]+)==([\w.]+)', (ROOT / 'requirements/pins.txt').read_text(), re.M)
    )
    assert len(pins) > 50
    assert {name: pins.get(name) for name in packages.TESTED} == packages.TESTED


def test_other_versions_are_a_note(install):
    install(torch='2.11.0+cpu', mmdet='3.2.0')
    (finding,) = packages.check_versions()
    assert finding.status == NOTE
    assert finding.fix == 'pip install mmdet==3.3.0'


def test_the_tried_versions_are_fine(install):
    install(torch='2.11.0+cpu', mmdet='3.3.0')
    (finding,) = packages.check_versions()
    assert (finding.status, finding.text) == (OK, 'torch 2.11.0+cpu, mmdet 3.3.0')


def test_two_packages_of_one_module_are_found(install):
    install(mmcv='2.1.0', mmcv_lite='2.1.0', opencv_python='4.9', opencv_python_headless='4.14')
    found = {finding.name: finding for finding in packages.check_duplicates()}
    assert set(found) == {'packages of mmcv', 'packages of cv2'}
    assert found['packages of cv2'].status == NOTE
    assert found['packages of mmcv'].status == PROBLEM
    assert found['packages of mmcv'].fix == (
        'pip uninstall -y mmcv mmcv-lite && pip install --no-deps mmcv==2.1.0'
    )


def test_nothing_installed_twice(install):
    install(mmcv='2.1.0', onedl_mmdetection='3.5.1')
    assert [finding.status for finding in packages.check_duplicates()] == [OK]


def test_pkg_resources_is_needed_by_the_releases_only(install):
    (finding,) = packages.check_pkg_resources()
    assert finding.status == OK
    install(onedl_mmengine='0.10.12', setuptools='82.0.0')
    assert packages.check_pkg_resources()[0].status == OK
    install(mmengine='0.10.7')
    (finding,) = packages.check_pkg_resources()
    assert (finding.status, finding.fix) == (PROBLEM, "pip install 'setuptools<82'")
    assert '82.0.0' in finding.text


@pytest.mark.parametrize(
    ('number', 'status'), [((3, 10, 1), PROBLEM), ((3, 12, 0), OK), ((3, 14, 0), NOTE)]
)
def test_pythons(number, status, monkeypatch):
    monkeypatch.setattr(packages.sys, 'version_info', number)
    (finding,) = packages.check_python()
    assert finding.status == status
    assert '.'.join(map(str, number)) in finding.text
