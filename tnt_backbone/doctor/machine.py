"""Disk, memory, limits and ports of this machine."""

import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .finding import NOTE, OK, PROBLEM, Finding
from .known_errors import KNOWN_ERRORS

GIB = 2**30
DISK = 2 * GIB  # five checkpoints of a RetinaNet with TNT-S, which take 0.42 GB each
SHARED_MEMORY = GIB
MEMORY = 4 * GIB  # a training step of RetinaNet with TNT-S takes 3.4 (docs/performance.md)
PORT = 29500
SHM, MEMINFO, CGROUP = '/dev/shm', '/proc/meminfo', '/sys/fs/cgroup'
# resource: the least that runs need, the letter of ulimit, and what fails below
LIMITS = {
    'RLIMIT_NOFILE': (1024, 'n', 'open files', 'workers of data loaders fail with "ancdata"'),
    'RLIMIT_NPROC': (1024, 'u', 'processes and threads', 'threads cannot be started'),
    'RLIMIT_FSIZE': (4 * GIB, 'f', 'bytes of a file', 'checkpoints are cut off'),
    'RLIMIT_AS': (64 * GIB, 'v', 'bytes of address space', 'CUDA and memory maps fail'),
}


def check_disk(facts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Check that the folders that runs write to can be written, and have space."""
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    places = {
        'work folder': (Path('work_dirs'), '--work-dir DIR'),
        'weights cache': (
            Path(facts.get('torch', {}).get('hub') or cache / 'torch/hub'),
            'export TORCH_HOME=DIR',
        ),
        'cache of the inner block': (cache / 'tnt_backbone', 'export XDG_CACHE_HOME=DIR'),
        'temporary files': (Path(tempfile.gettempdir()), 'export TMPDIR=DIR'),
    }
    return [_place(name, path.absolute(), fix) for name, (path, fix) in places.items()]


def _place(name: str, path: Path, fix: str) -> Finding:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding(name, PROBLEM, f'{there} cannot be written to', fix)
    free = shutil.disk_usage(there).free
    text = f'{path}, {free / GIB:.1f} GiB free'
    files = os.statvfs(there)
    if files.f_files and files.f_favail < 1000:
        return Finding(name, PROBLEM, f'{text}, but only {files.f_favail} more files fit', fix)
    return Finding(name, PROBLEM, text, fix) if free < DISK else Finding(name, OK, text)


def check_shared_memory() -> list[Finding]:
    """Check the size of ``/dev/shm``, through which workers of data loaders hand over batches."""
    fix = KNOWN_ERRORS['shared memory'].fix
    if not Path(SHM).is_dir():
        return [Finding('shared memory', PROBLEM, f'there is no {SHM}', fix)]
    usage = shutil.disk_usage(SHM)
    text = f'{SHM}, {usage.free / GIB:.2f} of {usage.total / GIB:.2f} GiB free'
    if usage.free >= SHARED_MEMORY:
        return [Finding('shared memory', OK, text)]
    text += '. Workers of data loaders need 1 GiB and more. docker run --shm-size=8g gives more'
    return [Finding('shared memory', PROBLEM, text, fix)]


def _number(path: str) -> int | None:
    """Return the first number in a file of the kernel's."""
    try:
        return int(Path(path).read_text().split()[0])
    except (OSError, ValueError, IndexError):  # "max", or no such file
        return None


def check_memory() -> list[Finding]:
    """Check the memory that is available, in the machine and in its container."""
    lines = Path(MEMINFO).read_text().splitlines()
    sizes = {line.split(':')[0]: int(line.split()[1]) * 1024 for line in lines if 'kB' in line}
    free, text = sizes['MemAvailable'], 'of the machine'
    limit, used = (_number(f'{CGROUP}/memory.{name}') for name in ('max', 'current'))
    if limit is not None and limit - (used or 0) < free:
        free, text = limit - (used or 0), f'of the {limit / GIB:.1f} GiB of the container'
    text = f'{free / GIB:.1f} GiB available {text}'
    if free < MEMORY:
        return [Finding('memory', NOTE, text, KNOWN_ERRORS['memory of the GPU'].fix)]
    return [Finding('memory', OK, text)]


def check_cores() -> list[Finding]:
    """Compare the cores that threads are started for with those that a container may use."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path(CGROUP, 'cpu.max').read_text().split()
        allowed = max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        allowed = cores
    if allowed < cores and 'OMP_NUM_THREADS' not in os.environ:
        text = f'the container may use {allowed} cores, and torch would start {cores} threads'
        return [Finding('cores', NOTE, text, f'export OMP_NUM_THREADS={allowed}')]
    return [Finding('cores', OK, str(allowed))]


def check_limits() -> list[Finding]:
    """Check the limits of this shell."""
    findings = []
    for name, (least, letter, what, why) in LIMITS.items():
        soft, hard = resource.getrlimit(getattr(resource, name))
        if soft == resource.RLIM_INFINITY or soft >= least:
            continue
        unlimited = hard == resource.RLIM_INFINITY
        most = 'unlimited' if unlimited else hard // (1024 if letter in 'fv' else 1)
        fix = f'ulimit -{letter} {65536 if letter == "n" and unlimited else most}'
        if hard != resource.RLIM_INFINITY and hard < least:
            fix = f'ask the administrator: ulimit -H{letter} is {hard}'
        findings.append(Finding('limits', PROBLEM, f'{soft} {what}: {why}', fix))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return findings or [Finding('limits', OK, f'{files} open files')]


def check_network() -> list[Finding]:
    """Check that processes on this machine can find each other."""
    findings = []
    host = socket.gethostname()
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        text = f'the name of this machine, {host}, has no address: {error}'
        findings.append(Finding('network', PROBLEM, text, KNOWN_ERRORS['name of the host'].fix))
    try:
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
    except OSError as error:
        text = f'no port can be opened on 127.0.0.1: {error}'
        findings.append(Finding('network', PROBLEM, text, 'sudo ip link set lo up'))
    given = os.environ.get('PORT') or os.environ.get('MASTER_PORT')
    port = int(given) if given and given.isdecimal() else PORT
    if given and not (given.isdecimal() and 0 < port < 2**16):
        text = f'PORT={given!r} is no port; 1 to 65535 are'
        return [*findings, Finding('ports', PROBLEM, text, f'export PORT={PORT}')]
    if _in_use(port):
        text = f'port {port} is in use; several machines, or PORT={port}, need it'
        status = PROBLEM if given else NOTE
        findings.append(Finding('ports', status, text, f'export PORT={port + 1}'))
    return findings or [Finding('ports', OK, f'{port} and others are free')]


def _in_use(port: int) -> bool:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(('', port))
        except OSError:
            return True
    return False
