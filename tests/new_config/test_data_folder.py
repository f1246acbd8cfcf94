"""What lies in a folder of own data."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone.new_config.data_folder import list_files, split_by_folders


def test_links_are_followed_and_hidden_files_left_out(tmp_path):
    root = tmp_path / 'own'
    names = (
        'own/a/1.jpg',
        'elsewhere/2.jpg',
        'own/._1.jpg',
        'own/.git/3.jpg',
        'own/__MACOSX/4.jpg',
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for link in ('train', 'val'):  # two splits may be links to one folder
        (root / link).symlink_to(tmp_path / 'elsewhere')
    (root / 'a' / 'loop').symlink_to(root)
    found = [str(file.relative_to(root)) for file in list_files(root)]
    assert found == ['a/1.jpg', 'train/2.jpg', 'val/2.jpg']


FOLDERS = {'train': 'train', 'Training': 'train', 'VALID': 'val', 'val': 'val', 'test': 'test'}
others = st.lists(st.sampled_from(['images', 'trains', '2024']), max_size=2)


@given(
    places=st.lists(
        st.tuples(others, st.sampled_from([*FOLDERS, '']), others), min_size=1, max_size=9
    ),
    root=st.sampled_from(['/data', '/data/val/own']),
)
def test_each_image_is_in_the_one_split_that_its_folders_name(places, root):
    wanted = {}
    for number, (before, split, after) in enumerate(places):
        folders = [*before, *([split] if split else []), *after]
        wanted[Path(root, *folders, f'train{number}.jpg')] = FOLDERS.get(split, '')
    names = set(wanted.values())
    if names == {''}:
        assert split_by_folders(wanted, Path(root)) == {'train': list(wanted)}
    elif '' in names or 'train' not in names:
        with pytest.raises(ValueError, match=root):
            split_by_folders(wanted, Path(root))
    else:
        found = split_by_folders(wanted, Path(root))
        assert {image: split for split, images in found.items() for image in images} == wanted
        assert sum(map(len, found.values())) == len(wanted)
