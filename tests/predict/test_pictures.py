"""Which pictures a command line means, and what they are called."""

import cv2
import numpy as np
import pytest

from tnt_backbone.predict.pictures import find_pictures, read_frames


@pytest.fixture
def tree(tmp_path):
    for name in ('a/1.jpg', 'a/deep/1.JPG', 'b/1.png', 'b/notes.txt', 'b/._1.png', '.git/1.jpg'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')
    (tmp_path / 'b/notes.txt').write_text('\ufeff1.png\n\n../a/1.jpg\r\n', encoding='utf-8')
    return tmp_path


def names(*sources):
    return [picture.name for picture in find_pictures(sources)]


def test_a_folder_is_walked_without_hidden_files(tree):
    assert names(tree) == ['a/1.jpg', 'a/deep/1.JPG', 'b/1.png']
    assert names(tree / 'a') == ['1.jpg', 'deep/1.JPG']


def test_names_of_several_sources_differ(tree):
    assert names(tree / 'a', tree / 'b') == ['a/1.jpg', 'a/deep/1.JPG', 'b/1.png']
    assert names(tree / 'a/1.jpg', tree / 'b/1.png') == ['a/1.jpg', 'b/1.png']


def test_each_picture_is_taken_once(tree):
    assert names(tree / 'a/1.jpg', tree / 'a', f'{tree}/a/../a/1.jpg') == ['1.jpg', 'deep/1.JPG']


def test_a_pattern_and_a_list(tree):
    assert names(f'{tree}/**/*.jpg') == ['a/1.jpg']
    assert names(tree / 'b/notes.txt') == ['b/1.png', 'a/1.jpg']


def test_pictures_that_are_not_read_are_counted(tree, monkeypatch):
    said = []
    monkeypatch.setattr('tnt_backbone.predict.pictures.log', lambda text, _: said.append(text))
    for name in ('a/2.gif', 'a/deep/3.GIF', 'b/4.heic', 'b/._5.gif', 'b/6.csv'):
        (tree / name).touch()
    assert names(tree, tree / 'a', f'{tree}/**/*') == ['a/1.jpg', 'a/deep/1.JPG', 'b/1.png']
    assert len(said) == 1
    assert all(part in said[0] for part in ('3 pictures', '2 .gif, 1 .heic', 'PNG'))
    for source in (f'{tree}/a/*.gif', tree / 'only'):
        (tree / 'only').mkdir(exist_ok=True)
        (tree / 'only/7.avif').touch()
        with pytest.raises(FileNotFoundError, match='1 pictures are passed over'):
            find_pictures([source])


def test_addresses_are_called_by_host_and_path():
    assert names('https://example.org/a/1.jpg?size=2') == ['example.org/a/1.jpg']


@pytest.mark.parametrize('source', ['missing.jpg', 'empty', '*.jpg'])
def test_what_is_not_there_is_named(tmp_path, source):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=source.strip('*')):
        find_pictures([tmp_path / source])


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / 'a.csv').touch()
    with pytest.raises(ValueError, match=r'a\.csv'):
        find_pictures([tmp_path / 'a.csv'])


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        (b'', r'list\.txt'),
        (b'\n \n', r'list\.txt'),
        (b'a.jpg\n\nnone.jpg\n', r'list\.txt.* 3\b.*none\.jpg'),
        (b'list.txt\n', r'list\.txt.* 1\b.*list\.txt'),
        (b'other.txt\n', r'list\.txt.* 1\b.*other\.txt.* 1\b.*list\.txt'),
        (b'\xff\xfe', r'list\.txt'),
    ],
)
def test_a_list_that_names_no_picture_is_named(tmp_path, text, named):
    (tmp_path / 'a.jpg').touch()
    (tmp_path / 'list.txt').write_bytes(text)
    (tmp_path / 'other.txt').write_text('list.txt')
    with pytest.raises((FileNotFoundError, ValueError), match=named):
        find_pictures([tmp_path / 'list.txt'])


def film(path, values):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 16))
    for value in values:
        writer.write(np.full((16, 32, 3), value, np.uint8))
    writer.release()
    return path


def test_a_video_becomes_its_frames(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('tnt_backbone.predict.pictures.log', lambda text, _: said.append(text))
    (video,) = find_pictures([film(tmp_path / 'film.avi', (10, 100, 200))])
    assert video.is_video
    frames = list(read_frames(video))
    assert not said
    assert [frame.name for frame in frames] == [f'film.avi/00000{i}.jpg' for i in range(3)]
    assert [round(float(frame.pixels.mean()), -1) for frame in frames] == [10, 100, 200]


def test_a_video_that_was_cut_off_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('tnt_backbone.predict.pictures.log', lambda text, _: said.append(text))
    path = film(tmp_path / 'film.avi', range(0, 200, 10))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (video,) = find_pictures([path])
    number = len(list(read_frames(video)))
    assert 0 < number < 18
    (text,) = said
    assert f'20 frames, but {number} were read' in text


def test_a_damaged_video_is_named(tmp_path):
    path = tmp_path / 'film.mp4'
    path.write_bytes(b'no film')
    (video,) = find_pictures([path])
    with pytest.raises(ValueError, match=r'film\.mp4'):
        list(read_frames(video))
