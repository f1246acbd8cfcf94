"""Runs ``probe.py`` in a process of its own, again after each probe that ends the process."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import probe

TIMEOUT = 300  # seconds for one process: a slow disk, or a compiler


def run_probes(
    names: Sequence[str] = tuple(probe.PROBES), *, timeout: float = TIMEOUT
) -> dict[str, dict[str, Any]]:
    """Return what each probe found.

    Args:
        names: Keys of ``probe.PROBES``, in their order.
        timeout: Seconds after which a process is ended.

    Returns:
        Facts by name. ``error`` says why a probe failed, ``missing`` which module was not found,
        ``skipped`` which other probe it would have needed.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'facts')
        file.touch()
        while rest := [name for name in names if name not in (facts := _read(file))]:
            end = _run_process(file, rest, timeout)
            ended = _read(file, begun=True)
            # the probe that had begun, or the first where not even Python started
            culprit = next((name for name, fact in ended.items() if 'begun' in fact), rest[0])
            if end and culprit not in _read(file):
                with file.open('a') as more:
                    print(json.dumps({'name': culprit, 'error': end}), file=more)
        return facts


def _read(file: Path, *, begun: bool = False) -> dict[str, dict[str, Any]]:
    """Return the last line of each probe."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    facts = {line['name']: line for line in lines}
    return facts if begun else {name: fact for name, fact in facts.items() if 'begun' not in fact}


def _run_process(file: Path, names: Sequence[str], timeout: float) -> str:
    """Run probes, and return how the process ended if it did not end well."""
    # -P: a file torch.py in the current folder is none of the environment's
    command = [sys.executable, '-P', str(probe.__file__), str(file), *names]
    environment = {**os.environ, 'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1')}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors='replace',
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return f'it did not end within {timeout:g} s'
    if done.returncode == 0:
        return ''
    last = (done.stderr.strip().splitlines() or [''])[-1]
    if done.returncode < 0:
        return f'the process was ended by {signal.Signals(-done.returncode).name}. {last}'.strip()
    return f'the process ended with exit status {done.returncode}. {last}'.strip()
