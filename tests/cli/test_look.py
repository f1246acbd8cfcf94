"""tnt look: its exit statuses, and what it writes."""

import re

import pytest

from tests.look.conftest import checkpoint_of, data
from tnt_backbone.cli import look

__all__ = ['checkpoint_of', 'data']


def run(capsys, *args, command=look):
    """Return exit status, output and errors of a command."""
    status = 0
    try:
        command.main([str(arg) for arg in args])
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
    names = {'heat', 'attention', 'levels', 'sentences', 'words', 'positions'}
    assert {file.name for file in (out / 'a.jpg').iterdir()} == {
        'page.html',
        *(f'{name}.png' for name in names),
    }


def test_a_second_call_does_not_look_at_what_the_first_wrote(checkpoint_of, data, tmp_path, capsys):
    (tmp_path / 'a.jpg').write_bytes((data / 'val/0.jpg').read_bytes())
    out = tmp_path / 'out'
    options = ['--out', out, '--no-heat', '--blocks', '0', '--device', 'cpu']
    for _ in range(2):
        status, _, errors = run(capsys, checkpoint_of('detection'), tmp_path, *options)
        assert status == 0, errors
        assert len(list(out.glob('**/page.html'))) == 1


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


def test_videos_and_other_tasks_are_refused(checkpoint_of, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'film.mp4').write_bytes(b'')
    status, _, errors = run(capsys, checkpoint_of('detection'), tmp_path / 'film.mp4')
    assert (status, 'film.mp4' in errors) == (2, True)
    status, _, errors = run(
        capsys, checkpoint_of('classification'), data / 'classification/val/3', '--score', '0.5'
    )
    assert (status, '--score' in errors) == (2, True)
