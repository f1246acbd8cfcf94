"""tnt embed: its exit statuses, and what it writes."""

import json
import re

import numpy as np
import pytest

from tests.cli.test_look import run as run_command
from tests.look.conftest import checkpoint_of, data
from tnt_backbone.cli import embed

__all__ = ['checkpoint_of', 'data']


def run(capsys, *args):
    return run_command(capsys, *args, command=embed)


def test_pictures_and_boxes_of_a_file(checkpoint_of, data, tmp_path, capsys):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for name, content in (('a.jpg', (data / 'val/0.jpg').read_bytes()), ('b.jpg', b'')):
        (folder / name).write_bytes(content)
    out, boxes = tmp_path / 'new/vectors.npz', tmp_path / 'boxes.json'
    boxes.write_text(json.dumps([{'file_name': 'a.jpg', 'bbox': [1, 2, 30, 40]}]))
    options = [checkpoint_of('detection'), folder, '--out', out, '--device', 'cpu']
    status, printed, errors = run(capsys, *options)
    assert (status, 'b.jpg' in errors) == (1, True)
    assert '1 vectors of 1 pictures' in printed
    with np.load(out, allow_pickle=False) as file:
        assert file['name'].tolist() == ['a.jpg']
        assert file['vector'].dtype == np.float32
    before = out.read_bytes()
    status, _, errors = run(capsys, *options, '--boxes', boxes)
    assert (status, '--force' in errors) == (2, True)
    assert out.read_bytes() == before
    (folder / 'b.jpg').unlink()
    status, printed, _ = run(capsys, *options, '--boxes', boxes, '--force')
    assert status == 0
    with np.load(out, allow_pickle=False) as file:
        assert file['box'].tolist() == [[1, 2, 31, 42]]
    boxes.write_text(json.dumps([{'file_name': 'val/a.jpg', 'bbox': [1, 2, 30, 40]}]))
    status, _, errors = run(capsys, *options, '--boxes', boxes, '--force')
    assert status == 2
    assert re.search(r"'val/a\.jpg'.*'a\.jpg'", errors)
    (folder / 'a.jpg').write_bytes(b'')
    status, _, errors = run(capsys, *options, '--force')
    assert status == 2
    assert [file.name for file in out.parent.iterdir()] == [out.name]  # nothing is half written


def test_boxes_of_other_pictures_are_said(monkeypatch):
    said = []
    monkeypatch.setattr(embed, 'log', lambda text, level: said.append(text), raising=False)
    embed.check_names(['a.jpg', 'b.jpg'], ['a.jpg'], 'boxes.json')
    assert not said
    embed.check_names(['a.jpg'], ['a.jpg', 'c.jpg', 'd.jpg'], 'boxes.json')
    (text,) = said
    assert all(word in text for word in ('boxes.json', '2 pictures', 'c.jpg, d.jpg'))


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--out', 'a.csv'], r'a\.csv.*\.npz'),
        (['--boxes', 'none.json'], r'none\.json'),
        (['--objects', '--boxes', 'a.json'], '--boxes'),
        (['--score', '0.5'], '--objects'),
        (['--classes', 'cat'], '--objects'),
        (['--batch', '0'], '--batch 0'),
        ([], r'c\.onnx.*\.pth'),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_mistakes_are_named(data, tmp_path, monkeypatch, capsys, arguments, named):
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / ('c.onnx' if not arguments else 'c.pth')
    checkpoint.write_bytes(b'')
    status, _, errors = run(capsys, checkpoint, data / 'val/0.jpg', *arguments)
    assert (status, bool(re.search(named, errors))) == (2, True), errors
    assert 'Traceback' not in errors
