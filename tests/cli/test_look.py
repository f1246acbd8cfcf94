"""tnt look: its exit statuses, and what it writes."""

import re

import pytest

from tests.look.conftest import checkpoint_of, data
from tnt_backbone.cli import look

__all__ = ['checkpoint_of', 'data']


def run(capsys, *args):
    """Return exit status, output and errors."""
    status = 0
    try:
        look.main([str(arg) for arg in args])
    except SystemExit as exit_:
        status = exit_.code
    return status, *capsys.readouterr()


def test_pictures_are_looked_at_and_a_damaged_one_is_named(
    checkpoint_of, data, tmp_path, monkeypatch, capsys
):
    folder, out = tmp_path / 'pictures', tmp_path / 'out'
    folder.mkdir()
    (folder / 'a.jpg').write_bytes((data / 'val/0.jpg').read_bytes())
    (folder / 'b.jpg').write_bytes(b'')
    options = ['--out', out, '--score', '0', '--top', '1', '--blocks', '0', '--device', 'cpu']
    status, printed, errors = run(capsys, checkpoint_of('detection'), folder, *options)
    assert status == 1
    assert printed.splitlines()[-1] == str(out / 'a.jpg' / 'page.html')
    assert 'b.jpg' in errors
    assert not (out / 'b.jpg').exists()


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--cam', 'magic'], 'magic.*layercam.*gradcam'),
        (['--top', '0'], '--top 0'),
        (['--score', '2'], '--score 2'),
        (['--blocks', '77', '--no-heat'], r'\[77\].*--blocks'),
        (['--point', '5000', '1', '--no-heat'], '--point 5000 1'),
        (['--classes', 'horse'], 'horse'),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_mistakes_are_named(checkpoint_of, data, tmp_path, capsys, arguments, named):
    status, _, errors = run(
        capsys, checkpoint_of('detection'), data / 'val/0.jpg', '--out', tmp_path / 'o', *arguments
    )
    assert status == 2
    assert re.search(named, errors), errors
    assert 'Traceback' not in errors


def test_videos_and_other_tasks_are_refused(checkpoint_of, data, tmp_path, capsys):
    (tmp_path / 'film.mp4').write_bytes(b'')
    status, _, errors = run(capsys, checkpoint_of('detection'), tmp_path / 'film.mp4')
    assert (status, 'film.mp4' in errors) == (2, True)
    one = data / 'classification/val/3'
    for option in (['--score', '0.5'], []):
        out = ['--out', tmp_path / 'o', '--blocks', '0', '--top', '1']
        status, _, errors = run(capsys, checkpoint_of('classification'), one, *out, *option)
        assert (status, '--score' in errors) == (2 if option else 0, bool(option))
