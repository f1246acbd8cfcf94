"""Equal and near-equal pictures, made from pictures that have nothing in common."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tnt_backbone.data_checks import similar
from tnt_backbone.data_checks.similar import (
    BITS,
    Fingerprint,
    find_pairs,
    find_similar,
    fingerprint,
    paths_in_two,
)


def scene(seed, size=(240, 320)):
    """Smooth random blobs, as different as photographs."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def write(path, pixels, quality=95):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return str(path)


def prints(*paths):
    return [fingerprint(path) for path in paths]


CHANGES = {
    'saved again': lambda pixels: (pixels, 40),
    'smaller': lambda pixels: (cv2.resize(pixels, (160, 120), interpolation=cv2.INTER_AREA), 95),
    'larger': lambda pixels: (cv2.resize(pixels, (640, 480)), 95),
    'brighter': lambda pixels: (np.clip(pixels.astype(int) + 6, 0, 255).astype(np.uint8), 95),
    'a frame later': lambda pixels: (np.roll(pixels, 2, 1), 95),
}


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_near_equal_pictures_are_found_among_others(tmp_path, change):
    paths = [write(tmp_path / f'{seed}.jpg', scene(seed)) for seed in range(40)]
    near = [write(tmp_path / 'near' / f'{seed}.jpg', *change(scene(seed))) for seed in range(10)]
    pairs = find_pairs(prints(*paths, *near))
    assert pairs == {(seed, 40 + seed): False for seed in range(10)}


def test_equal_files_are_equal_whatever_is_in_them(tmp_path):
    flat = write(tmp_path / 'a.jpg', np.full((50, 60, 3), 90, np.uint8))
    also_flat = write(tmp_path / 'b.jpg', np.full((50, 60, 3), 91, np.uint8))
    broken = tmp_path / 'c.jpg'
    broken.write_bytes(b'no picture')
    for path in (flat, str(broken)):
        (tmp_path / f'copy_{path[-5:]}').write_bytes(Path(path).read_bytes())
    found = prints(flat, also_flat, str(broken), *(str(tmp_path / f'copy_{n}.jpg') for n in 'ac'))
    assert find_pairs(found) == {(0, 3): True, (2, 4): True}
    assert fingerprint(str(tmp_path / 'nowhere.jpg')) is None


def test_a_picture_of_png_and_jpeg_is_near(tmp_path):
    pixels = scene(0, (61, 83))
    one, other = write(tmp_path / 'a.jpg', pixels), write(tmp_path / 'a.png', pixels)
    assert find_pairs(prints(one, other)) == {(0, 1): False}


def test_splits_are_compared_with_the_one_that_is_trained_on(tmp_path):
    a, b, c, d = (write(tmp_path / f'{name}.jpg', scene(i)) for i, name in enumerate('abcd'))
    a2, c2, d2 = (
        write(tmp_path / f'{n}2.jpg', scene(i)) for i, n in ((0, 'a'), (2, 'c'), (3, 'd'))
    )
    near = write(tmp_path / 'near.jpg', scene(1), 50)
    found = find_similar(
        {'train': prints(a, b, a2), 'val': prints(c, near, d), 'test': prints(d2, c2)}
    )
    assert {(finding.kind, finding.file) for finding in found} == {
        ('image that occurs twice', a2),
        ('near-equal image in two splits', near),
    }  # val and test may share pictures
    found = find_similar({'train': prints(a, b), 'val': prints(a2)})
    assert [(one.kind, one.file) for one in found] == [('image in two splits', a2)]
    assert a in found[0].text


def test_equal_pictures_of_different_classes(tmp_path):
    cat, dog = (write(tmp_path / f'{name}.jpg', scene(0)) for name in ('cat', 'dog'))
    again = write(tmp_path / 'again.jpg', scene(0))
    bare = write(tmp_path / 'bare.jpg', scene(0))  # its class is not known
    classes = {cat: 'cat', dog: 'dog', again: 'cat', bare: ''}
    found = find_similar({'train': prints(cat, again, bare), 'val': prints(dog)}, classes)
    (finding,) = (one for one in found if one.kind == 'equal images of different classes')
    assert finding.file == dog
    assert cat in finding.text
    assert 'dog' in finding.text
    assert [one.kind for one in found if one is not finding] == [
        'image that occurs twice', 'image that occurs twice', 'image in two splits'
    ]  # fmt: skip


def test_one_file_in_two_splits():
    found = paths_in_two({'train': ['a', 'b'], 'val': ['b', 'c'], 'test': ['c', 'b']})
    assert [(one.kind, one.file) for one in found] == [('image in two splits', 'b')] * 2


def test_many_pictures_that_are_alike_take_no_time_without_end(tmp_path):
    (one,) = prints(write(tmp_path / 'a.jpg', scene(0)))
    many = [one._replace(path=str(i), digest=i.to_bytes(4, 'big')) for i in range(300)]
    assert len(find_pairs(many)) == 300 * 299 // 2


def test_no_pair_within_the_distance_is_missed(monkeypatch):
    """Against the comparison of all with all, with bits that differ where it is hardest to find."""
    monkeypatch.setattr(similar, 'LARGEST_BAND', 30)  # so not all 100 are compared with all
    random = np.random.default_rng(0)
    hashes = [int(value) for value in random.integers(0, 2**63, 20)]
    for value in hashes[:20]:
        for count in (1, BITS, BITS + 1):
            places = random.choice(64, count, replace=False)
            hashes.append(value ^ sum(1 << int(place) for place in places))
        spread = random.integers(0, 9, BITS) + 9 * random.permutation(BITS + 1)[:BITS]
        hashes.append(value ^ sum(1 << int(place) for place in spread))
    found = find_pairs(
        [
            Fingerprint(str(i), i.to_bytes(4, 'big'), value, bytes(256))
            for i, value in enumerate(hashes)
        ]
    )
    near = {
        (i, j)
        for j in range(len(hashes))
        for i in range(j)
        if (hashes[i] ^ hashes[j]).bit_count() <= BITS
    }
    assert len(near) >= 60
    assert found == dict.fromkeys(near, False)
