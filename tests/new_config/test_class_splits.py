"""Lists of the images of splits: the colour of each image tells whether its class is right."""

import pytest

from tests.new_config.test_class_tables import NAMES, draw, refused, run, shown

FORMS = ['{0}/{0}{1}', '{0}/{0}{1}.jpg', 'images/{0}/{0}{1}.jpg', 'images\\{0}\\{0}{1}.jpg']


@pytest.fixture
def root(tmp_path):
    """Food-101: images/<class>/<name>.jpg, and images of the same name in two classes."""
    for name in NAMES:
        for i in range(5):
            draw(tmp_path / 'own' / 'images' / name / f'{name}{i}.jpg', name)
    draw(tmp_path / 'own' / 'images' / 'cat' / 'bird0.jpg', 'cat')
    (tmp_path / 'own' / 'meta').mkdir()
    return tmp_path / 'own'


def listed(path, numbers, names=NAMES, form='{0}/{0}{1}'):
    path.write_text('\n'.join(form.format(name, i) for name in names for i in numbers) + '\n')


@pytest.mark.parametrize('form', FORMS)
def test_folders_name_the_classes(root, form):
    listed(root / 'meta' / 'train.txt', range(3), form=form)
    listed(root / 'meta' / 'test.txt', [4], form=form)
    (root / 'meta' / 'classes.txt').write_text('\n'.join(NAMES))
    cfg, said = run(root)
    assert shown(cfg, 'train') == {f'{name}{i}.jpg' for name in NAMES for i in range(3)}
    assert shown(cfg, 'val') == shown(cfg, 'test') == {f'{name}4.jpg' for name in NAMES}
    assert str(root / 'meta' / 'train.txt') in said


def test_lists_beside_a_table_of_the_classes(root):
    """DTD: images/, labels/train1.txt, labels/test1.txt and labels/labels_joint_anno.txt."""
    listed(root / 'meta' / 'train1.txt', range(3), form=FORMS[1])
    listed(root / 'meta' / 'test1.txt', [4], form=FORMS[1])
    lines = [f'{name}/{name}{i}.jpg {name} \n' for name in NAMES for i in range(5)]
    (root / 'meta' / 'labels_joint_anno.txt').write_text(''.join(lines))
    cfg, _ = run(root)
    assert shown(cfg, 'train') == {f'{name}{i}.jpg' for name in NAMES for i in range(3)}
    assert shown(cfg, 'val') == {f'{name}4.jpg' for name in NAMES}


def test_what_does_not_fit_is_refused(root):
    train, val = root / 'meta' / 'train.txt', root / 'meta' / 'val.txt'
    listed(train, range(4))
    refused(root, 'no validation split')
    run(root, 0.25)
    listed(val, [3])
    refused(root, r'images/bird/bird3\.jpg is in two of')
    listed(val, [4])
    refused(root, 'Leave out --val-share', 0.25)
    listed(root / 'train2.txt', [2])
    refused(root, r'meta/train\.txt and .*train2\.txt both list')
    (root / 'train2.txt').unlink()
    listed(val, range(4, 9))
    refused(root, '12 of 15 images that')
    listed(val, [4, 7])
    assert '3 of 6 images' in run(root)[1]
    # an image of another class that has the same name does not stand in
    (root / 'images' / 'bird' / 'bird0.jpg').unlink()
    assert '1 of 12 images' in run(root)[1]


def test_without_lists_the_folder_of_the_classes_is_named(root):
    (root / 'meta' / 'classes.txt').write_text('\n'.join(NAMES))
    for share in (None, 0.2):
        with pytest.raises((ValueError, FileNotFoundError), match='own/images are the classes'):
            run(root, share)
    cfg, _ = run(root / 'images', 0.2)
    assert cfg.model.head.num_classes == 3
