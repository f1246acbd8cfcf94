"""The process behind tools/mutation/run.py: the lines of each test, and what notices a change."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).parents[2] / 'tools/mutation/runner.py'
PACKAGE = """\
def half(x):
    if x < 0:
        raise ValueError
    return x / 2
"""
TESTS = """\
import pytest
from tnt_backbone.numbers import half

def test_four():
    assert half(4) == 2

def test_negative():
    with pytest.raises(ValueError):
        half(-1)

def test_import():
    import tnt_backbone.late
"""


@pytest.fixture
def ask(tmp_path):
    """Write the package and its tests, and return a function that asks a runner of them."""
    (tmp_path / 'tnt_backbone').mkdir()
    (tmp_path / 'tests').mkdir()
    (tmp_path / 'tnt_backbone/numbers.py').write_text(PACKAGE)
    (tmp_path / 'tnt_backbone/late.py').write_text('TWO = 2\n')
    (tmp_path / 'tests/test_numbers.py').write_text(TESTS)
    process = subprocess.Popen(
        [sys.executable, '-P', str(RUNNER), str(tmp_path)],
        env={
            **os.environ,
            'PYTHONPATH': str(tmp_path),
            'PYTHONDONTWRITEBYTECODE': '1',
            'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1',  # importing them takes seconds
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(package=PACKAGE, tests=TESTS, *, chosen=None, known=(), limit=60):
        (tmp_path / 'tnt_backbone/numbers.py').write_text(package)
        (tmp_path / 'tests/test_numbers.py').write_text(tests)
        names = chosen and [f'tests/test_numbers.py::{name}' for name in chosen]
        known = [f'tests/test_numbers.py::{name}' for name in known]
        request = {'paths': ['tests'], 'limit': limit, 'chosen': names, 'known': known}
        print(json.dumps(request), file=process.stdin, flush=True)
        answer = json.loads(process.stdout.readline())
        return answer['outcome'], answer['test'].removeprefix('tests/test_numbers.py::'), answer

    yield ask
    process.communicate('')
    assert process.returncode == 0


def test_lines_and_outcomes(ask):
    outcome, _, answer = ask()
    assert outcome == 'survived'
    lines = {name.rpartition('::')[2]: test['lines'] for name, test in answer['tests'].items()}
    assert lines == {
        'test_four': {'tnt_backbone/numbers.py': [2, 4]},
        'test_negative': {'tnt_backbone/numbers.py': [2, 3]},
        'test_import': {},  # what runs at the first import belongs to no test
    }
    assert all(0 <= test['seconds'] < 60 for test in answer['tests'].values())

    known = list(lines)
    changed = PACKAGE.replace('x / 2', 'x * 2')
    assert ask(changed, chosen=['test_negative', 'test_four'], known=known)[:2] == (
        'killed',
        'test_four',
    )
    assert ask(changed, chosen=['test_negative'], known=known)[0] == 'survived'
    # a change may give tests other names, which run, too
    assert ask(changed, chosen=['test_negative'], known=known[1:])[:2] == ('killed', 'test_four')
    endless = PACKAGE.replace('x / 2', 'half(x) if time.sleep(9) else 0')
    assert ask('import time\n' + endless, chosen=['test_four'], limit=2)[0] == 'timeout'
    outcome, test, _ = ask('half = None.half\n', chosen=['test_negative'], known=known)
    assert (outcome, test) == ('killed', 'tests/test_numbers.py')
    gone = PACKAGE.replace('x / 2', '__import__("os")._exit(0)')
    assert ask(gone, chosen=['test_four'], known=known)[:2] == ('killed', 'the process died')
    assert ask(chosen=['test_four'], known=known)[0] == 'survived'
