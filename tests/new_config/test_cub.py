"""CUB-200-2011's tables: its own splits and classes, by value."""

import pytest

from tests.new_config.test_class_tables import NAMES, draw_all, refused, run, shown

SPLIT = {number: number % 4 < 2 for number in range(12)}  # whether it is to train on


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'CUB_200_2011'
    classes = {name: f'{i:03d}.{name}' for i, name in enumerate(NAMES, 1)}
    rows = [(number + 1, *row) for number, row in enumerate(draw_all(root / 'images', range(12)))]
    for name, folder in classes.items():
        (root / 'images' / folder).mkdir()
        for _, file, named in rows:
            if named == name:
                (root / 'images' / file).rename(root / 'images' / folder / file)
    tables = {
        'images': [f'{i} {classes[name]}/{file}' for i, file, name in rows],
        'image_class_labels': [f'{i} {NAMES.index(name) + 1}' for i, _, name in rows],
        'classes': [f'{i} {folder}' for i, folder in enumerate(classes.values(), 1)],
        'train_test_split': [f'{i} {int(SPLIT[i - 1])}' for i, *_ in rows],
    }
    for table, lines in tables.items():
        (root / f'{table}.txt').write_text('\n'.join(lines) + '\n')
    (root / 'attributes').mkdir()
    (root / 'attributes/attributes.txt').write_text('1 has_bill_shape\n')
    return root


@pytest.mark.parametrize('folder', ['', 'images'])
def test_the_splits_are_its_own(root, folder):
    cfg, said = run(root / folder)
    names = {f'{i:03d}.{name}': name for i, name in enumerate(NAMES, 1)}
    assert shown(cfg, 'train', names) == {f'{n}.png' for n, trains in SPLIT.items() if trains}
    assert shown(cfg, 'val', names) == {f'{n}.png' for n, trains in SPLIT.items() if not trains}
    assert 'train_test_split.txt' in said


def test_a_share_is_of_what_is_trained_on(root):
    cfg, _ = run(root, share=0.4)
    names = {f'{i:03d}.{name}': name for i, name in enumerate(NAMES, 1)}
    parts = [shown(cfg, phase, names) for phase in ('train', 'val', 'test')]
    assert parts[0] | parts[1] == {f'{n}.png' for n, trains in SPLIT.items() if trains}
    assert parts[2] == {f'{n}.png' for n, trains in SPLIT.items() if not trains}
    assert not parts[0] & parts[1]


def test_what_does_not_fit_is_named(root):
    text = (root / 'image_class_labels.txt').read_text()
    (root / 'image_class_labels.txt').write_text(text.replace('3 ', '33 ', 1))
    refused(root, r'image 3 \(')
    (root / 'image_class_labels.txt').write_text(text)
    next((root / 'images').glob('*/0.png')).unlink()
    refused(root, r'1 of 12 images.*0\.png')
