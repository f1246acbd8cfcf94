"""One command for all tables: what it calls, and what becomes of one that fails."""

import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
# Stands for Python: says which device there is, writes down how it was called, prints a table.
STUB = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then echo "$DEVICE" && exit; fi
printf '%q ' "$@" >> "$CALLS"; echo >> "$CALLS"
echo '| table |'; echo 'a warning' >&2
[[ $1 != */"${BROKEN:-}" ]]
"""


def run(folder, **variables):
    stub = folder / 'python'
    stub.write_text(STUB)
    stub.chmod(0o755)
    process = subprocess.run(
        ['bash', BENCHMARKS / 'run_all.sh', folder / 'out'],
        env={**os.environ, 'PYTHON': str(stub), 'CALLS': str(folder / 'calls'), **variables},
        capture_output=True,
        text=True,
    )
    return process, [shlex.split(line) for line in (folder / 'calls').read_text().splitlines()]


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_each_benchmark_takes_its_arguments(tmp_path, monkeypatch, device):
    process, calls = run(tmp_path, DEVICE=device)
    assert process.returncode == 0
    for file, *arguments in calls:
        assert Path(file).exists()
        module = importlib.import_module(Path(file).stem)
        if hasattr(module, 'parse_args'):
            monkeypatch.setattr(sys, 'argv', [file, *arguments])
            module.parse_args()
        else:
            assert not arguments
    tables = list((tmp_path / 'out').glob('*.md'))
    assert len(tables) == len(calls)
    assert {table.read_text() for table in tables} == {'| table |\n'}


def test_one_that_fails_is_named_and_the_others_run(tmp_path):
    process, calls = run(tmp_path, DEVICE='cpu', BROKEN='memory.py')
    assert process.returncode == 1
    assert 'large_images' in process.stderr.splitlines()[-1]
    assert Path(calls[-1][0]).name == 'startup.py'
