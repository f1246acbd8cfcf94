"""tools/demo.sh from the data to the report, in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def demo(*arguments):
    return subprocess.run(
        ['bash', str(ROOT / 'tools' / 'demo.sh'), *map(str, arguments)],
        env=os.environ | {'PYTHON': sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_chain_runs_and_says_that_ten_iterations_are_not_enough(tmp_path):
    arguments = (
        '--train',
        16,
        '--val',
        4,
        '--size',
        64,
        '--iterations',
        10,
    )  # as many as there are to a line of the log
    result = demo('--work-dir', tmp_path / 'the demo', *arguments)
    output = result.stdout + result.stderr
    assert result.returncode == 1, output
    assert 'NOT reached' in output, output
    for name in ('loss_curve.png', 'predictions.png', 'report.txt', 'detections.bbox.json'):
        assert (tmp_path / 'the demo' / name).is_file(), output
    report = (tmp_path / 'the demo' / 'report.txt').read_text()
    assert 'after 10 iterations' in report
    assert '8 an iteration' in report
    assert 'a process, of 2' in report
    (scalars,) = (tmp_path / 'the demo' / 'train').glob('*/vis_data/scalars.json')
    peaks = [
        line for line in map(json.loads, scalars.read_text().splitlines()) if 'loss' not in line
    ]
    assert any(line.get('peak_memory_mb/rank1', 0) > 100 for line in peaks)


@pytest.mark.parametrize(
    'arguments', [['--iterations', '0'], ['--size', 'big'], ['--train'], ['--fast']]
)
def test_wrong_options_are_named(arguments):
    result = demo(*arguments)
    assert result.returncode == 2
    assert all(argument in result.stderr for argument in arguments)


def test_help_needs_no_environment():
    result = subprocess.run(
        ['bash', str(ROOT / 'tools' / 'demo.sh'), '--help'],
        env={'PATH': os.environ['PATH']},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '--iterations' in result.stdout
