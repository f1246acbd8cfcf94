"""tools/test.sh: whether a missing Chromium is installed, skipped or a failure."""

import os
import shutil
import subprocess

import pytest

from tests.browsers import find_chromium
from tests.conftest import ROOT

INSTALLS = (
    'echo "$@" >> "$BIN/apt.log"; [[ $* != *install* ]] || : > "$BIN/chromium"; chmod +x "$BIN"/*'
)
FAILS = 'echo "$@" >> "$BIN/apt.log"; exit 100'


@pytest.fixture
def start(tmp_path):
    """Return a function that runs tools/test.sh with few programs; it returns what they saw."""
    for name in ('bash', 'dirname', 'chmod'):
        (tmp_path / name).symlink_to(shutil.which(name))

    def program(name, text):
        (tmp_path / name).write_text(f'#!{shutil.which("bash")}\n{text}\n')
        (tmp_path / name).chmod(0o755)

    def run(programs, **variables):
        for name, text in programs.items():
            program(name, text)
        program(
            'python', '[[ $1 == -c ]] || echo "${TNT_BACKBONE_BROWSER:-unset} $2" >> "$BIN/log"'
        )
        done = subprocess.run(
            ['bash', str(ROOT / 'tools/test.sh')],
            env={'PATH': str(tmp_path), 'BIN': str(tmp_path), 'PYTHON': str(tmp_path / 'python'),
                 **variables},
            capture_output=True,
            text=True,
        )  # fmt: skip
        texts = (tmp_path / 'log', tmp_path / 'apt.log')
        return done, *(file.read_text().split() if file.exists() else [] for file in texts)

    return run


def test_a_chromium_that_is_there_is_required(start):
    done, log, apt = start({'chromium': '', 'apt-get': INSTALLS})
    assert done.returncode == 0, done.stderr
    assert log[-2:] == ['require', 'pytest']
    assert apt == []


@pytest.mark.skipif(os.geteuid() != 0, reason='only root installs packages')
def test_root_installs_it_and_then_it_is_required(start):
    done, log, apt = start({'apt-get': INSTALLS})
    assert done.returncode == 0, done.stderr
    assert log[-2:] == ['require', 'pytest']
    assert apt[-1] == 'chromium'


@pytest.mark.skipif(os.geteuid() != 0, reason='only root installs packages')
def test_what_cannot_be_installed_ends_the_script_before_the_tests(start):
    done, log, apt = start({'apt-get': FAILS})
    assert done.returncode == 1
    assert 'TNT_BACKBONE_BROWSER=skip' in done.stderr
    assert log == []
    assert apt


def test_without_it_and_without_apt_get_the_tests_may_skip(start):
    done, log, _ = start({})
    assert done.returncode == 0, done.stderr
    assert log[-2:] == ['unset', 'pytest']


def test_it_can_be_left_out_or_named(start, tmp_path):
    _, log, apt = start({'apt-get': INSTALLS}, TNT_BACKBONE_BROWSER='skip')
    assert (log[-2:], apt) == (['skip', 'pytest'], [])
    _, log, apt = start({'apt-get': INSTALLS}, TNT_BACKBONE_CHROMIUM=shutil.which('true'))
    assert (log[-2:], apt) == (['require', 'pytest'], [])


@pytest.mark.parametrize(
    ('given', 'ends'),
    [
        ('require', pytest.fail.Exception),
        ('skip', pytest.skip.Exception),
        ('', pytest.skip.Exception),
    ],
)
def test_a_required_chromium_that_is_missing_is_a_failure(monkeypatch, tmp_path, given, ends):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('TNT_BACKBONE_CHROMIUM', raising=False)
    monkeypatch.setenv('TNT_BACKBONE_BROWSER', given)
    with pytest.raises(ends):
        find_chromium()
