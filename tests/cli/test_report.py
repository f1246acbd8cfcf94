"""tnt report: messages about what it is given."""

import json
from pathlib import Path

import pytest

from tests.report.scenes import results
from tnt_backbone.cli.report import main


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert exit_.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results().write('run/20300101_000000')
    return tmp_path / 'run'


def test_wrong_arguments_are_named(run, capsys):
    assert 'nowhere' in fails(capsys, 'nowhere')
    assert '--score 2' in fails(capsys, run, '--score', 2)
    assert '--sizes 32 16' in fails(capsys, run, '--sizes', 32, 16)
    assert '.html' in fails(capsys, run, '--out', 'a.txt')
    Path('mine.html').write_text('mine')
    assert 'mine.html' in fails(capsys, run, '--out', 'mine.html')
    assert Path('mine.html').read_text() == 'mine'
    Path('empty').mkdir()
    assert 'tnt test' in fails(capsys, 'empty')
    Path('a.pth').write_text('')
    assert 'a.pth is no run' in fails(capsys, 'a.pth')


def test_pages_and_numbers(run, capsys):
    main([str(run)])
    assert (run / '20300101_000000' / 'report.html').is_file()
    main([str(run), str(run), '--no-pictures'])
    assert Path('comparison.html').is_file()
    capsys.readouterr()
    main([str(run), '--json', '--score', '0.5'])
    (numbers,) = json.loads(capsys.readouterr().out)
    assert numbers['score'] == 0.5
    assert set(numbers['errors']['counts']) == set(numbers['errors']['costs'])
