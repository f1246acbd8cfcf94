"""CIFAR, Flowers, Pets, iNaturalist configs: recipes, and an epoch on tiny data of their form."""

import copy
import json
import math
import pickle
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import Runner
from mmpretrain.datasets import CIFAR10, CIFAR100
from PIL import Image
from timm.data import create_transform
from timm.scheduler import CosineLRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR
from torchvision import transforms

from tnt_backbone.checkpoints.published import PUBLISHED
from tnt_backbone.run.preflight import check_training
from tnt_backbone.run.pretrained import drop_pretrained

CONFIGS = Path(__file__).parents[2] / 'configs'
CLASSES = {
    'cifar10': 10,
    'cifar100': 100,
    'flowers102': 102,
    'pets': 37,
    'inaturalist2018': 8142,
    'inaturalist2019': 1010,
}
NAMES = sorted(
    path.stem
    for path in CONFIGS.glob('*.py')
    if path.stem.rpartition('_')[2] in CLASSES and path.stem != 'tnt_ti_cifar10'
)
# Networks of two blocks; everything else is the config's own.
TINY = {
    'tnt': dict(depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3),
    't2t': dict(depth=2, embed_dims=48, num_heads=3, token_dims=16),
}


@cache
def _read(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def read(name):
    cfg = copy.deepcopy(_read(name))
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def write_cifar(root, monkeypatch):
    """The pickles of CIFAR-10 and CIFAR-100: rows of 3072 bytes, first all red ones."""
    for dataset, labels in ((CIFAR10, 'labels'), (CIFAR100, 'fine_labels')):
        (root / dataset.base_folder).mkdir(parents=True)
        for split in ('train_list', 'test_list'):
            files = [name for name, _ in getattr(dataset, split)]
            monkeypatch.setattr(dataset, split, [[name, None] for name in files])  # no md5
            images = 2 if len(files) == 1 else 1
            for seed, name in enumerate(files):
                rng = np.random.default_rng(seed)
                rows = rng.integers(0, 256, (images, 3072), dtype=np.uint8)
                content = {'data': rows, labels: [9, 1][:images]}
                (root / dataset.base_folder / name).write_bytes(pickle.dumps(content))


def write_images(folder, names):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        pixels = rng.integers(0, 256, (40, 52, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), pixels)


def write_flowers(root):
    """MATLAB files with one row of labels from 1, and of the numbers of the images."""
    write_images(root / 'jpg', [f'image_{i:05}.jpg' for i in range(1, 7)])
    scipy.io.savemat(root / 'imagelabels.mat', {'labels': np.array([[1, 5, 9, 102, 7, 3]])})
    splits = {'trnid': np.array([[1, 3]]), 'valid': np.array([[4, 2]]), 'tstid': np.array([[5, 6]])}
    scipy.io.savemat(root / 'setid.mat', splits)


def write_pets(root):
    """Lists of name, class from 1, species and breed."""
    write_images(root / 'images', ['Abyssinian_1.jpg', 'Abyssinian_2.jpg', 'beagle_1.jpg'])
    (root / 'annotations').mkdir()
    (root / 'annotations/trainval.txt').write_text('Abyssinian_1 1 1 1\nbeagle_1 37 2 4\n')
    (root / 'annotations/test.txt').write_text('Abyssinian_2 1 1 1\nbeagle_1 37 2 4\n')


def write_inaturalist(root, year):
    names = [f'train_val{year}/Aves/{folder}/{folder:032}.jpg' for folder in (3, 14)]
    write_images(root, names)
    content = {
        'images': [{'id': i, 'file_name': name} for i, name in enumerate(names)],
        'annotations': [{'id': i, 'image_id': i, 'category_id': c} for i, c in enumerate((3, 14))],
        'categories': [{'id': i, 'name': f'species {i}'} for i in range(20)],
    }
    for split in ('train', 'val'):
        (root / f'{split}{year}.json').write_text(json.dumps(content))


@pytest.fixture
def with_data(tmp_path, monkeypatch):
    """Let a config find a data set of a few images, in the form of the published one."""

    def write(cfg, name):
        root, data = tmp_path / 'data', name.rpartition('_')[2]
        if data.startswith('cifar'):
            write_cifar(root, monkeypatch)
        elif data == 'flowers102':
            write_flowers(root)
        elif data == 'pets':
            write_pets(root)
        else:
            write_inaturalist(root, int(data[-4:]))
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(root)
            loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        return cfg

    return write


def test_there_is_a_config_for_every_number_of_the_papers():
    fine = {name.removeprefix('tnt_b_') for name in NAMES if name.startswith('tnt_b')}
    assert fine == set(CLASSES) - {'inaturalist2018'}  # in no table
    assert {name for name in NAMES if name.startswith('tnt_s')} == {f'tnt_s_{d}' for d in CLASSES}
    t2t = {f't2t_vit_{arch}_{data}' for arch in (14, 19) for data in ('cifar10', 'cifar100')}
    assert {name for name in NAMES if name.startswith('t2t')} == t2t


def test_the_model_has_the_published_weights_and_the_classes_of_the_data(name):
    cfg = read(name)
    backbone, _, data = name.rpartition('_')
    assert cfg.model.backbone.init_cfg == dict(type='Pretrained', checkpoint=f'tnt://{backbone}')
    assert cfg.model.backbone.arch == PUBLISHED[backbone].arch
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.head.fc.weight.shape == (CLASSES[data], model.backbone.embed_dims)
    assert cfg.model.data_preprocessor.num_classes == CLASSES[data]
    assert (
        f'configs/{name}.py {8 if name.startswith("tnt") else 1}'
        in (CONFIGS / f'{name}.py').read_text()
    )


@pytest.mark.parametrize('name', [name for name in NAMES if name.startswith('tnt')])
def test_tnt_takes_the_recipe_of_imagenet_but_for_what_is_said(name):
    cfg, imagenet = read(name), read('tnt_s_imagenet')
    epochs = 64 if 'cifar' in name else 300
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.custom_hooks == []
    assert cfg.optim_wrapper.optimizer.lr == 7.5e-5
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size
    assert cfg.train_dataloader.sampler == imagenet.train_dataloader.sampler
    assert cfg.model.train_cfg == imagenet.model.train_cfg
    assert cfg.model.head.loss == imagenet.model.head.loss
    for other in (cfg, imagenet):
        other.optim_wrapper.optimizer.pop('lr')
    assert cfg.optim_wrapper == imagenet.optim_wrapper

    def resized(pipeline):
        text = str(pipeline).replace("scale': 224", "scale': 384").replace('248', '426')
        return text.replace("crop_size': 224", "crop_size': 384")

    first = 1 if 'cifar' in name else 0  # images are not loaded from files
    for loader in ('train_dataloader', 'val_dataloader'):
        ours, theirs = cfg[loader].dataset.pipeline, imagenet[loader].dataset.pipeline[first:]
        assert str(ours) == resized(theirs)
    assert math.floor(384 / 0.9) == 426
    assert cfg.test_dataloader == cfg.val_dataloader


@pytest.mark.parametrize('name', ['tnt_s_cifar10', 'tnt_s_pets'])
def test_the_learning_rate_of_tnt_is_that_of_timm(name):
    cfg = read(name)
    lr, epochs = cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs
    ours, theirs = (torch.optim.AdamW([torch.zeros(1).requires_grad_()], lr=lr) for _ in range(2))
    schedulers = [PARAM_SCHEDULERS.build({**s, 'optimizer': ours}) for s in cfg.param_scheduler]
    timm = CosineLRScheduler(theirs, t_initial=epochs, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6)
    for epoch in range(epochs):
        found, expected = ours.param_groups[0]['lr'], theirs.param_groups[0]['lr']
        assert found == pytest.approx(expected, rel=1e-2), epoch  # why not equal: adamw_imagenet.py
        ours.step()
        for scheduler in schedulers:
            scheduler.step()
        timm.step(epoch + 1)


@pytest.mark.parametrize('name', ['t2t_vit_14_cifar10', 't2t_vit_19_cifar100'])
def test_the_learning_rates_of_t2t_vit_are_those_of_the_authors_script(name):
    cfg = read(name)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    head = {id(parameter) for parameter in model.head.parameters()}
    groups = {
        id(group['params'][0]) in head: group for group in optimizer.param_groups if group['params']
    }
    assert {group['weight_decay'] for group in optimizer.param_groups} == {5e-4}
    assert all(group['momentum'] == 0.9 for group in optimizer.param_groups)

    parts = [{'params': [torch.zeros(1)], 'lr': 0.01 * 0.05}, {'params': [torch.zeros(1)]}]
    script = torch.optim.SGD(parts, lr=0.05)
    theirs = CosineAnnealingLR(script, eta_min=2e-4, T_max=60)
    (ours,) = (PARAM_SCHEDULERS.build({**s, 'optimizer': optimizer}) for s in cfg.param_scheduler)
    for _ in range(cfg.train_cfg.max_epochs):
        found = [groups[False]['lr'], groups[True]['lr']]
        assert found == pytest.approx([group['lr'] for group in script.param_groups])
        optimizer.step()
        script.step()
        ours.step()
        theirs.step()
    assert cfg.train_cfg.max_epochs == 60
    assert cfg.train_dataloader.batch_size == 64


@pytest.mark.parametrize('name', ['tnt_s_cifar10', 't2t_vit_14_cifar100'])
def test_the_image_that_is_tested_is_that_of_the_authors(name, with_data):
    """Size, channels and normalisation of an image out of the pickles."""
    cfg = with_data(read(name), name)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    preprocessor = MODELS.build({'type': 'ClsDataPreprocessor', **cfg.model.data_preprocessor})
    found = preprocessor(pseudo_collate([dataset[0]]))['inputs'][0]

    file = 'cifar-10-batches-py/test_batch' if name == 'tnt_s_cifar10' else 'cifar-100-python/test'
    content = pickle.loads((Path(cfg.test_dataloader.dataset.data_root) / file).read_bytes())
    row = content['data'][0]
    image = Image.fromarray(np.moveaxis(row.reshape(3, 32, 32), 0, -1))  # RGB
    if name.startswith('tnt'):
        half = (0.5, 0.5, 0.5)
        transform = create_transform(
            384, interpolation='bicubic', crop_pct=0.9, mean=half, std=half
        )
    else:  # transform_test of transfer_learning.py
        transform = transforms.Compose(
            [
                transforms.Resize(224),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
            ]
        )
    torch.testing.assert_close(found, transform(image), rtol=0, atol=1e-4)


# The other sizes differ only in the backbone, which is replaced here.
@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[pytest.mark.slow] * name.endswith(('cifar100', '2018')))
        for name in NAMES
        if '_b_' not in name and '19_' not in name
    ],
)
def test_it_trains_and_is_validated_on_data_in_its_own_form(name, tmp_path, with_data):
    cfg = with_data(read(name), name)
    torch.manual_seed(0)
    drop_pretrained(cfg)
    check_training(cfg)  # finds all files
    cfg.model.backbone.arch, cfg.model.head.in_channels = TINY[name[:3]], 48
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.name = cfg.experiment_name = f'{name}{tmp_path.name}'
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    before = runner.model.backbone.blocks[0].state_dict()
    before = {key: value.clone() for key, value in before.items()}
    runner.train()

    after = runner.model.backbone.blocks[0].state_dict()
    assert any(not torch.equal(after[key], value) for key, value in before.items())
    (log,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [row['loss'] for row in rows if 'loss' in row]
    steps = {'cifar10': 5 / 2, 'flowers102': 2}.get(name.rpartition('_')[2], 1)
    # T2T-ViT keeps what is left of an epoch, as its script
    assert len(losses) == (math.floor if cfg.train_dataloader.drop_last else math.ceil)(steps)
    assert np.isfinite(losses).all()
    assert {'accuracy/top1', 'accuracy/top5'} <= set(rows[-1])


@pytest.mark.parametrize('name', ['tnt_s_cifar10', 'tnt_s_flowers102', 'tnt_s_pets'])
def test_labels_count_from_zero(name, with_data):
    cfg = with_data(read(name), name)
    labels = {
        'cifar10': [9] * 5,
        'flowers102': [0, 8, 101, 4],  # training and validation images
        'pets': [0, 36],
    }[name.rpartition('_')[2]]
    assert DATASETS.build(cfg.train_dataloader.dataset).get_gt_labels().tolist() == labels


def test_without_data_the_message_shows_the_layout(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = {
        'cifar10': ['cifar10/cifar-10-batches-py/data_batch_5', 'cifar-10-batches-py/test_batch'],
        'cifar100': ['cifar100/cifar-100-python/train', 'cifar-100-python/test'],
        'flowers102': ['Flowers102/imagelabels.mat', 'Flowers102/setid.mat', 'Flowers102/jpg'],
        'pets': ['Oxford-IIIT_Pets/annotations/trainval.txt', 'Oxford-IIIT_Pets/images'],
        'inaturalist2018': ['train2018.json', 'val2018.json', 'inaturalist/train_val2018'],
        'inaturalist2019': ['train2019.json', 'val2019.json', 'inaturalist/train_val2019'],
    }[name.rpartition('_')[2]]
    with pytest.raises(FileNotFoundError) as error:
        check_training(read(name))
    for path in expected:
        assert f'{path} ' in str(error.value)
    assert 'train_dataloader.dataset.data_root=DIR' in str(error.value)


def test_without_weights_the_message_names_their_places(tmp_path, monkeypatch, with_data):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))

    def fail(*args, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    name = 'tnt_s_pets'
    with pytest.raises(FileNotFoundError, match='--from-scratch') as error:
        check_training(with_data(read(name), name))
    row = PUBLISHED['tnt_s']
    assert all(text in str(error.value) for text in (row.file_name, *row.places))
