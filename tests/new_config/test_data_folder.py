"""What lies in a folder of own data."""

from tnt_backbone.new_config.data_folder import list_files


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
