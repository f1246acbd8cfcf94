"""Class folders: splits by other names, by a share, and folders in folders."""

from pathlib import Path

import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from tests.new_config.scenes import configure
from tests.new_config.test_rare_classes import RESNET

CLASSES = ('Maine Coon', 'Straße', '猫')


def make(folder, numbers, names=CLASSES):
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in numbers:
            Image.new('RGB', (8, 8)).save(folder / name / f'{number} a.png')


def shown(cfg, phase):
    """Return {class: its images} of MMPretrain's own data set."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build({**cfg[f'{phase}_dataloader'].dataset, 'pipeline': []})
    found = {}
    for info in map(dataset.get_data_info, range(len(dataset))):
        path = Path(info['img_path'])
        assert path.is_file()
        assert dataset.CLASSES[info['gt_label']] == path.parent.name
        found.setdefault(path.parent.name, set()).add(path.name)
    return found


def run(root, *options):
    return configure(root, '--backbone', 'tnt_ti', *options, config=RESNET)


@pytest.mark.parametrize('names', [('Train', 'Valid', 'TEST'), ('training', 'Validation', 'test')])
def test_capital_letters(tmp_path, names):
    for i, name in enumerate(names):
        make(tmp_path / 'own' / name, range(i, i + 3))
    cfg, _ = run(tmp_path / 'own')
    for i, phase in enumerate(('train', 'val', 'test')):
        assert shown(cfg, phase)['猫'] == {f'{n} a.png' for n in range(i, i + 3)}


def test_a_share_of_each_class_for_validation(tmp_path):
    root = tmp_path / 'own'
    make(root, range(10))
    make(tmp_path / 'few', range(1))
    (root / '猫' / '0 a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'pass --val-share 0\.2'):
        run(root)
    cfg, _ = run(root, '--val-share', '0.2')
    train, val = shown(cfg, 'train'), shown(cfg, 'val')
    for name in CLASSES:
        assert not train[name] & val[name]
        assert train[name] | val[name] == {path.name for path in (root / name).iterdir()}
        assert len(val[name]) == 2
    assert shown(cfg, 'test') == val
    with pytest.raises(ValueError, match=r'each of Maine Coon.* has a single image'):
        run(tmp_path / 'few', '--val-share', '0.2')
    make(tmp_path / 'more', range(2))
    with pytest.raises(ValueError, match='Maine Coon leaves none to train on'):
        run(tmp_path / 'more', '--val-share', '0.9')
    for name in CLASSES[1:]:
        (tmp_path / 'more' / name / '1 a.png').unlink()
    cfg, said = run(tmp_path / 'more', '--val-share', '0.2')
    assert shown(cfg, 'val').keys() == {'Maine Coon'}
    assert shown(cfg, 'train').keys() == set(CLASSES)
    assert 'the val split has no image of Straße, 猫' in said
    make(root / 'test', range(2))
    with pytest.raises(ValueError, match='has a folder test, but none for training'):
        run(root, '--val-share', '0.2')
    make(root / 'train', range(2))
    with pytest.raises(ValueError, match=r'own has folders of classes.*and so has.*train'):
        run(root, '--val-share', '0.2')


def test_a_training_split_is_parted_and_the_test_split_stays(tmp_path):
    root = tmp_path / 'own'
    make(root / 'Train', range(10))
    with pytest.raises(FileNotFoundError, match=r'no folder val .*pass --val-share 0\.2'):
        run(root)
    cfg, _ = run(root, '--val-share', '0.2')
    train, val = shown(cfg, 'train'), shown(cfg, 'val')
    for name in CLASSES:
        assert not train[name] & val[name]
        assert train[name] | val[name] == {f'{i} a.png' for i in range(10)}
    assert shown(cfg, 'test') == val
    make(root / 'test', range(20, 23))
    cfg, _ = run(root, '--val-share', '0.2')
    assert (shown(cfg, 'train'), shown(cfg, 'val')) == (train, val)
    assert shown(cfg, 'test') == {name: {f'{i} a.png' for i in (20, 21, 22)} for name in CLASSES}
    make(root / 'val', range(2))
    with pytest.raises(ValueError, match=r'validation split already.*Leave out --val-share'):
        run(root, '--val-share', '0.2')


def test_folders_in_folders_are_said(tmp_path):
    for split in ('train', 'val'):
        make(tmp_path / 'own' / split, range(3), ['plain'])
        make(tmp_path / 'own' / split / 'animals', range(3))
    cfg, said = run(tmp_path / 'own')
    assert cfg.train_dataloader.dataset.metainfo.classes == ('animals', 'plain')
    assert '1 classes have their images in folders of their own (animals: Maine Coon' in said
    (tmp_path / 'zip').mkdir()
    (tmp_path / 'own').rename(tmp_path / 'zip' / 'own')
    with pytest.raises(FileNotFoundError, match='zip/own has one: pass it as --data'):
        run(tmp_path / 'zip')
