"""Class folders: splits by other names, by a share, and folders in folders."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from PIL import Image

from tests.conftest import ROOT
from tests.new_config.scenes import configure
from tests.new_config.test_rare_classes import RESNET
from tnt_backbone.errors import InputError
from tnt_backbone.new_config.class_folders import set_class_folders

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


CIFAR = ROOT / 'configs/t2t_vit_14_cifar10.py'


@pytest.mark.parametrize('options', [(), ('--val-share', '0.2')])
def test_the_format_of_other_annotations_is_named(tmp_path, options):
    """FiftyOne's classes of images."""
    (tmp_path / 'own/data').mkdir(parents=True)
    Image.new('RGB', (8, 8)).save(tmp_path / 'own/data/a.png')
    text = '{"classes": ["cat", "dog"], "labels": {"a": 0}}'
    (tmp_path / 'own/labels.json').write_text(text)
    with pytest.raises((InputError, FileNotFoundError), match=r'labels\.json is of FiftyOne'):
        run(tmp_path / 'own', *options)


def test_a_config_that_reads_arrays_reads_files(tmp_path):
    """CIFAR's arrays are RGB and files are BGR, so the order of channels changes, too."""
    colour = (200, 60, 10)
    for place in ('train/a', 'train/b', 'val/a', 'val/b'):
        (tmp_path / 'own' / place).mkdir(parents=True)
        Image.new('RGB', (32, 32), colour).save(tmp_path / 'own' / place / '0.png')
    cfg, text = configure(tmp_path / 'own', config=CIFAR)
    assert 'BGR' in text
    for phase in ('train', 'val', 'test'):
        kinds = [part['type'] for part in cfg[f'{phase}_dataloader'].dataset.pipeline]
        assert [kind.startswith('LoadImage') for kind in kinds].index(True) == 0
        assert sum(kind.startswith('LoadImage') for kind in kinds) == 1
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        sample = DATASETS.build(cfg.val_dataloader.dataset)[0]
        given = dict(cfg.model.data_preprocessor)
        preprocessor = MODELS.build({'type': 'ClsDataPreprocessor', **given})
    seen = preprocessor({'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]})
    expected = (np.array(colour) - given['mean']) / given['std']
    np.testing.assert_allclose(seen['inputs'][0, :, 100, 100], expected, rtol=1e-5)


def test_a_config_that_reads_grey_arrays_is_refused(tmp_path):
    make(tmp_path / 'own/train', range(2))
    make(tmp_path / 'own/val', range(2))
    cfg = Config.fromfile(CIFAR)
    for phase in ('train', 'val', 'test'):
        cfg[f'{phase}_dataloader'].dataset.type = 'MNIST'
    with pytest.raises(InputError, match='MNIST'):
        set_class_folders(cfg, tmp_path / 'own')


def test_versions_of_a_data_set_are_no_classes(tmp_path):
    """PlantVillage has its classes in color, grayscale and segmented."""
    root = tmp_path / 'own'
    for name in ('color', 'grayscale', 'segmented'):
        make(root / name, range(3))

    def configured(folder):
        options = ('--backbone', 'tnt_ti', '--val-share', '0.4', '--force')
        return configure(folder, *options, config=RESNET, out=tmp_path / 'out.py')[0]

    with pytest.raises(InputError, match=r'color, grayscale, segmented, .*Maine Coon.*--data'):
        configured(root)
    assert set(shown(configured(root / 'color'), 'train')) == set(CLASSES)
    for name in ('grayscale', 'segmented'):
        (root / name).rename(root / f'my {name}')
    configured(root)


@pytest.mark.parametrize('name', ['unlabeled', 'Ignored'])
def test_images_without_a_class_are_no_class(tmp_path, name):
    root = tmp_path / 'own'
    for split in ('train', 'val'):
        make(root / split, range(2), (*CLASSES, name))
    with pytest.raises(InputError, match=f'{name} seems to hold images without a class'):
        run(root)


def test_classes_of_splits_in_other_capital_letters(tmp_path):
    """Each split is said to lack the classes that it does lack."""
    root = tmp_path / 'own'
    make(root / 'train', range(3), ('cat', 'dog', 'only'))
    make(root / 'val', range(3), ('Cat', 'dog'))
    text = r'own/train has no class folder Cat, and .*own/val has no class folder cat, only, which'
    with pytest.raises(InputError, match=text + r'.*differ only in capital letters.*Cat, cat\.'):
        run(root)


@pytest.mark.parametrize('options', [(), ('--val-share', '0.34')], ids=['val', 'share'])
def test_images_beside_the_class_folders_are_said(tmp_path, options):
    root = tmp_path / 'own'
    make(root / 'train', range(3))
    if not options:
        make(root / 'val', range(3))
    Image.new('RGB', (8, 8)).save(root / 'train/lost.png')
    _, said = run(root, *options)
    assert 'train: 1 images are in no class folder, and are left out (lost.png)' in said
