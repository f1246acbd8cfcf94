"""Trainings that are killed and stopped from outside."""

import pytest

from tests.faults.launched import CONFIG, Launched


@pytest.fixture
def start(tiny_config, tmp_path):
    """Start trainings in two processes; all are ended after the test."""
    runs = []
    config = tmp_path / 'long.py'

    def start_run(*arguments, end=100_000, **variables):
        config.write_text(CONFIG.format(tiny_config, end))
        runs.append(Launched(config, tmp_path, *arguments, **variables))
        return runs[-1]

    yield start_run
    for run in runs:
        run.end()
