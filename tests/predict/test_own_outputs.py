"""What a command wrote is no source of the next call, and no source is written over."""

import json
from pathlib import Path

import pytest

from tnt_backbone.errors import InputError
from tnt_backbone.predict import own_outputs
from tnt_backbone.predict.own_outputs import leave_out_pages, leave_out_predictions
from tnt_backbone.predict.pictures import find_pictures


@pytest.fixture
def said(monkeypatch):
    """What is logged."""
    texts = []
    monkeypatch.setattr(own_outputs, 'log', lambda text, level: texts.append(text))
    return texts


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('')


def test_predictions_of_an_earlier_call_are_no_sources(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    out = Path('predictions')
    touch(tmp_path, 'a.jpg', 'b/c.png')
    assert len(leave_out_predictions(find_pictures(['.']), out)) == 2
    assert not said
    files = ['labels/a.png', 'pictures/a.jpg', 'pictures/b/c.png']
    touch(tmp_path / out, *files)
    lines = [{'settings': {}}, *({'name': 'x', 'files': [file]} for file in files)]
    (out / 'predictions.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    kept = leave_out_predictions(find_pictures(['.']), out)
    assert [picture.name for picture in kept] == ['a.jpg', 'b/c.png']
    assert [text.split()[0] for text in said] == ['3']
    with pytest.raises(InputError, match=r'all 3 pictures.*--out predictions'):
        leave_out_predictions(find_pictures([out]), out)
    # they are sources of another call
    assert len(leave_out_predictions(find_pictures([out]), Path('other'))) == 3


@pytest.mark.parametrize('name', ['pictures', 'labels', 'panoptic'])
def test_no_source_is_written_over(tmp_path, name):
    touch(tmp_path, f'{name}/a.jpg')
    with pytest.raises(InputError, match=rf'{name}/a\.jpg.*--out'):
        leave_out_predictions(find_pictures([tmp_path / name]), tmp_path)
    (tmp_path / 'link').symlink_to(tmp_path / name)
    with pytest.raises(InputError, match='--out'):
        leave_out_predictions(find_pictures([tmp_path / 'link']), tmp_path)
    assert leave_out_predictions(find_pictures([tmp_path / name]), tmp_path / 'out')


def test_pages_of_an_earlier_call_are_no_sources(tmp_path, said):
    out = tmp_path / 'look'
    touch(tmp_path, 'a.jpg', 'site/page.html', 'site/b.png')
    touch(out, 'a.jpg/page.html', 'a.jpg/heat.png', 'mine.png')
    kept = leave_out_pages(find_pictures([tmp_path]), out, 'page.html')
    assert [picture.name for picture in kept] == ['a.jpg', 'look/mine.png', 'site/b.png']
    assert len(said) == 1
    with pytest.raises(InputError, match='all 1 pictures'):
        leave_out_pages(find_pictures([out / 'a.jpg']), out, 'page.html')
