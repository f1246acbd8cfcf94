"""tools/demo.sh from the data to the report, in miniature."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tnt_backbone.demo.report import read_runs

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
    arguments = ('--train', 16, '--val', 4, '--size', 64)
    arguments += ('--iterations', 10)  # a line of the log is written every 10
    result = demo('--work-dir', tmp_path / 'the demo', *arguments)
    output = result.stdout + result.stderr
    assert result.returncode == 1, output
    assert 'NOT reached' in output, output
    for name in ('loss_curves.png', 'predictions.png', 'report.txt', 'detections.bbox.json'):
        assert (tmp_path / 'the demo' / name).is_file(), output
    runs = read_runs(tmp_path / 'the demo')
    assert [run.train[-1]['step'] for run in runs.values()] == [10, 10, 10]
    assert [run.images_per_iteration for run in runs.values()] == [32, 8, 8]
    assert all(min(run.peak_memory_mb) > 100 for run in runs.values())
    assert [len(run.peak_memory_mb) for run in runs.values()] == [2, 2, 2]


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
