"""Disks, memory, limits and ports that are too small or in use."""

import os
import resource
import shutil
import socket
from collections import namedtuple

import pytest

from tnt_backbone.doctor import machine
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM

GIB = 2**30
Usage = namedtuple('Usage', 'total used free')


def only(findings):
    (finding,) = findings
    return finding


@pytest.fixture
def free(monkeypatch):
    """Set how much is free on each disk."""

    def set_free(size, total=100 * GIB):
        monkeypatch.setattr(shutil, 'disk_usage', lambda _: Usage(total, total - size, size))

    return set_free


def test_full_disks_are_problems(free):
    free(50 * GIB)
    assert {finding.status for finding in machine.check_disk({})} == {OK}
    free(GIB)
    found = machine.check_disk({})
    assert [finding.status for finding in found] == [PROBLEM] * 4
    assert [finding.fix for finding in found] == [
        '--work-dir DIR',
        'export TORCH_HOME=DIR',
        'export XDG_CACHE_HOME=DIR',
        'export TMPDIR=DIR',
    ]


def test_folders_that_cannot_be_written_are_problems(tmp_path, monkeypatch, free):
    free(50 * GIB)
    (tmp_path / 'file').touch()
    found = machine.check_disk({'torch': {'hub': f'{tmp_path}/file/hub'}})
    cache = next(finding for finding in found if finding.name == 'weights cache')
    assert cache.status == PROBLEM
    assert f'{tmp_path}/file' in cache.text
    monkeypatch.setattr(os, 'access', lambda path, mode: False)  # root writes everywhere
    assert {finding.status for finding in machine.check_disk({})} == {PROBLEM}


def test_no_inodes_left_is_a_problem(free, monkeypatch):
    free(50 * GIB)
    Files = namedtuple('Files', 'f_files f_favail')
    monkeypatch.setattr(os, 'statvfs', lambda path: Files(10**6, 3))
    assert '3 more files' in machine.check_disk({})[0].text


def test_dockers_shared_memory_is_a_problem(free, monkeypatch, tmp_path):
    free(2 * GIB)
    monkeypatch.setattr(machine, 'SHM', str(tmp_path))
    assert only(machine.check_shared_memory()).status == OK
    free(2**26, total=2**26)
    finding = only(machine.check_shared_memory())
    assert finding.status == PROBLEM
    assert '0.06' in finding.text
    assert 'num_workers=0' in finding.fix
    monkeypatch.setattr(machine, 'SHM', f'{tmp_path}/none')
    assert only(machine.check_shared_memory()).status == PROBLEM


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Write what the kernel says about memory and the container."""

    def write(available, **files):
        (tmp_path / 'meminfo').write_text(
            f'MemTotal: 99999999 kB\nMemAvailable: {available // 1024} kB\nHugePages_Total: 0\n'
        )
        for name, text in files.items():
            (tmp_path / name.replace('_', '.')).write_text(text)
        monkeypatch.setattr(machine, 'MEMINFO', str(tmp_path / 'meminfo'))
        monkeypatch.setattr(machine, 'CGROUP', str(tmp_path))

    return write


def test_memory_of_the_machine_and_of_the_container(kernel):
    kernel(20 * GIB)
    assert only(machine.check_memory()).status == OK
    kernel(20 * GIB, memory_max='max\n', memory_current='1\n')
    assert only(machine.check_memory()).status == OK
    kernel(20 * GIB, memory_max=f'{4 * GIB}\n', memory_current=f'{GIB}\n')
    finding = only(machine.check_memory())
    assert finding.status == NOTE
    assert finding.text.startswith('3.0 GiB')
    assert '4.0 GiB' in finding.text
    kernel(GIB)
    assert only(machine.check_memory()).status == NOTE


def test_cores_of_a_container(kernel, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(64)))
    kernel(GIB, cpu_max='max 100000\n')
    assert only(machine.check_cores()).status == OK
    kernel(GIB, cpu_max='250000 100000\n')
    finding = only(machine.check_cores())
    assert (finding.status, finding.fix) == (NOTE, 'export OMP_NUM_THREADS=2')
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    assert only(machine.check_cores()).status == OK


@pytest.mark.parametrize(
    ('name', 'limits', 'fix'),
    [
        ('RLIMIT_NOFILE', (256, resource.RLIM_INFINITY), 'ulimit -n 65536'),
        ('RLIMIT_NOFILE', (256, 4096), 'ulimit -n 4096'),
        ('RLIMIT_NOFILE', (256, 512), 'ulimit -Hn is 512'),
        ('RLIMIT_NPROC', (100, 5000), 'ulimit -u 5000'),
        ('RLIMIT_FSIZE', (2**20, resource.RLIM_INFINITY), 'ulimit -f unlimited'),
        ('RLIMIT_AS', (8 * GIB, resource.RLIM_INFINITY), 'ulimit -v unlimited'),
    ],
)
def test_low_limits_are_problems(name, limits, fix, monkeypatch):
    number = getattr(resource, name)
    plenty = (resource.RLIM_INFINITY,) * 2
    monkeypatch.setattr(resource, 'getrlimit', lambda one: limits if one == number else plenty)
    finding = only(machine.check_limits())
    assert finding.status == PROBLEM
    assert finding.fix.endswith(fix)


def test_limits_of_this_shell():
    assert only(machine.check_limits()).status == OK


def test_a_port_in_use(monkeypatch):
    for name in ('PORT', 'MASTER_PORT'):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as server:
        server.bind(('', 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr(machine, 'PORT', port)
        assert only(machine.check_network()).status == NOTE
        monkeypatch.setenv('PORT', str(port))
        finding = only(machine.check_network())
    assert finding.status == PROBLEM
    assert finding.fix == f'export PORT={port + 1}'
    assert only(machine.check_network()).status == OK
    for wrong in ('abc', '0', '70000'):
        monkeypatch.setenv('PORT', wrong)
        finding = only(machine.check_network())
        assert finding.status == PROBLEM
        assert wrong in finding.text


def test_a_host_without_address(monkeypatch):
    def fail(*args):
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setattr(socket, 'getaddrinfo', fail)
    finding = machine.check_network()[0]
    assert (finding.name, finding.status) == ('network', PROBLEM)
    assert finding.fix == 'export GLOO_SOCKET_IFNAME=lo'
