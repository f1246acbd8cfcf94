"""Files of vectors hold what was added, and are there only when they are complete."""

import sys

import numpy as np
import pytest

from tnt_backbone.look.boxes_file import Boxes
from tnt_backbone.look.embed import Vectors
from tnt_backbone.look.vectors_file import check_out, vectors_file


def read(path):
    if path.suffix == '.npz':
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    table = pytest.importorskip('pyarrow.parquet').read_table(path)
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def entries(with_boxes):
    rng = np.random.default_rng(0)
    for number, count in enumerate((1, 0, 700, 800) if with_boxes else (1, 1, 1)):
        vectors = rng.standard_normal((count, 5)).astype(np.float32)
        boxes = rng.random((count, 4)).astype(np.float32)
        names = tuple(f'Känguru <{i}>' for i in range(count))
        found = Boxes(boxes, rng.random(count).astype(np.float32), names) if with_boxes else None
        yield Vectors(f'ordner/bild {number}.jpg', vectors, found)


@pytest.mark.parametrize('with_boxes', [True, False], ids=['boxes', 'pictures'])
@pytest.mark.parametrize('ending', ['.npz', '.parquet'])
def test_there_and_back(tmp_path, ending, with_boxes):
    path = tmp_path / f'vectors{ending}'
    with vectors_file(path, with_boxes=with_boxes) as file:
        for entry in entries(with_boxes):
            file.add(entry)
            assert not path.exists()
    assert [part.name for part in tmp_path.iterdir()] == [path.name]
    content, given = read(path), list(entries(with_boxes))
    assert file.number == len(content['name'])
    vectors = np.concatenate([entry.vectors for entry in given])
    np.testing.assert_array_equal(content['vector'].astype(np.float32), vectors)
    assert content['name'].tolist() == [e.name for e in given for _ in range(len(e.vectors))]
    assert set(content) == {'name', 'vector'} | ({'box', 'score', 'category'} & set(content))
    if with_boxes:
        np.testing.assert_array_equal(
            content['box'].astype(np.float32), np.concatenate([e.boxes.boxes for e in given])
        )
        scores = np.concatenate([e.boxes.scores for e in given])
        np.testing.assert_array_equal(content['score'].astype(np.float32), scores)
        assert content['category'].tolist() == [n for e in given for n in e.boxes.names]


@pytest.mark.parametrize('ending', ['.npz', '.parquet'])
def test_no_boxes_are_a_file_too(tmp_path, ending):
    path = tmp_path / f'vectors{ending}'
    with vectors_file(path, with_boxes=True) as file:
        file.add(Vectors('a.jpg', np.zeros((0, 5), np.float32), Boxes.none()))
    content = read(path)
    assert all(len(values) == 0 for values in content.values())
    assert set(content) == {'name', 'vector', 'box', 'score', 'category'}


@pytest.mark.parametrize('ending', ['.npz', '.parquet'])
def test_nothing_is_left_of_a_file_that_was_given_up(tmp_path, ending):
    def give_up():
        with vectors_file(tmp_path / f'vectors{ending}', with_boxes=True) as file:
            for entry in entries(with_boxes=True):
                file.add(entry)
            raise KeyError('a.jpg')

    with pytest.raises(KeyError):
        give_up()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said_before(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r'a\.csv.*\.npz, \.parquet'):
        check_out(tmp_path / 'a.csv', force=False)
    (tmp_path / 'a.npz').write_bytes(b'')
    with pytest.raises(FileExistsError, match=r'a\.npz.*--force'):
        check_out(tmp_path / 'a.npz', force=False)
    check_out(tmp_path / 'a.npz', force=True)
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(ImportError, match=r'tnt-backbone\[look\].*\.npz'):
        check_out(tmp_path / 'a.parquet', force=False)
