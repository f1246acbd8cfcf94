"""Pictures that are validated together have one size, or it is said before the training."""

import re

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from PIL import Image

from tests.conftest import ROOT
from tnt_backbone.cli import check_data
from tnt_backbone.data_checks.batch_shapes import find_batch_shapes, find_padding
from tnt_backbone.data_checks.datasets import build_leaf_datasets
from tnt_backbone.errors import InputError
from tnt_backbone.new_config.shared import set_one_picture_a_batch
from tnt_backbone.run import preflight

SIZES = ((60, 40), (40, 60), (60, 40), (60, 40))
SEGMENTOR = """
_base_ = ['{root}/configs/fpn_tnt_s_ade20k.py']
model = dict(decode_head=dict(num_classes=2))
dataset = dict(type='BaseSegDataset', data_root='{data}',
               data_prefix=dict(img_path='images', seg_map_path='labels'),
               img_suffix='.png', reduce_zero_label=False, metainfo=dict(classes=('a', 'b')))
train_dataloader = dict(dataset=dict(_delete_=True, **dataset, pipeline=_base_.train_pipeline))
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(
    _delete_=True, **dataset, test_mode=True,
    pipeline=[dict(type='LoadImageFromFile'),
              dict(type='Resize', scale=(48, 48), keep_ratio={keep_ratio}),
              dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
test_dataloader = val_dataloader
"""
CLASSIFIER = """
_base_ = ['{root}/configs/tnt_s_imagenet.py']
model = dict(head=dict(num_classes=2))
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(
    _delete_=True, type='CustomDataset', data_root='{data}/classes',
    metainfo=dict(classes=('a', 'b')),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=48, edge='short'),
              {crop}dict(type='PackInputs')]))
"""


@pytest.fixture
def data(tmp_path):
    for number, size in enumerate(SIZES):
        for folder in ('images', 'labels', 'classes/a', 'classes/b'):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            image = Image.new('L' if folder == 'labels' else 'RGB', size)
            image.putpixel((0, 0), 1 if folder == 'labels' else (9, 9, 9))  # both classes
            image.save(tmp_path / folder / f'{number}.png')
    return tmp_path


@pytest.fixture
def configure(data):
    """Returns a function that gives the file of a config."""

    def write(text, **options):
        path = data / 'c.py'
        path.write_text(text.format(root=ROOT, data=data, **options))
        return path

    return write


def found(cfg):
    return find_batch_shapes(cfg, 'val', build_leaf_datasets(cfg, ['val'])['val'])


def load_a_batch(cfg):
    """Do what the libraries do with the first batch of a validation."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        loader = Runner.build_dataloader(cfg.val_dataloader)
        options = cfg.model.get('data_preprocessor') or cfg.data_preprocessor
        preprocessor = MODELS.build({'type': 'ClsDataPreprocessor', **options})
        return preprocessor(next(iter(loader)), training=False)


def test_a_segmentor(configure):
    cfg = Config.fromfile(configure(SEGMENTOR, keep_ratio=True))
    with pytest.raises(AssertionError):  # what would happen after the first epochs
        load_a_batch(cfg)
    (finding,) = found(cfg)
    assert finding.is_error
    assert {'48x32', '32x48'} <= set(re.findall(r'\d+x\d+', finding.text))
    cfg.val_dataloader.batch_size = 1
    assert not found(cfg)
    load_a_batch(cfg)

    cfg = Config.fromfile(configure(SEGMENTOR, keep_ratio=False))
    assert not found(cfg)
    assert load_a_batch(cfg)['inputs'].shape == (4, 3, 48, 48)


@pytest.mark.parametrize(
    ('padding', 'fits'),
    [
        ({'size': (64, 64), 'size_divisor': 32}, False),  # the second of a base config
        ({'mode': 'whole'}, False),
        ({'size': (64, 64), 'size_divisor': None}, True),
        ({'size_divisor': 32}, True),
    ],
)
def test_a_padding_that_mmsegmentation_refuses(configure, padding, fits):
    cfg = Config.fromfile(configure(SEGMENTOR, keep_ratio=False))
    cfg.model.data_preprocessor.test_cfg = padding
    if fits:
        load_a_batch(cfg)
        assert not find_padding(cfg)
        return
    with pytest.raises(AssertionError):
        load_a_batch(cfg)
    with pytest.raises(InputError, match='size_divisor'):
        preflight.check_data(cfg, ('train', 'val'))


def test_a_classifier(configure):
    cfg = Config.fromfile(configure(CLASSIFIER, crop=''))
    with pytest.raises(RuntimeError):
        load_a_batch(cfg)
    assert len(found(cfg)) == 1
    cfg = Config.fromfile(configure(CLASSIFIER, crop="dict(type='CenterCrop', crop_size=48), "))
    assert not found(cfg)
    assert len(load_a_batch(cfg)['inputs']) == 4


def test_it_is_said_before_a_training_and_by_the_check(configure, capsys):
    path = configure(SEGMENTOR, keep_ratio=True)
    with pytest.raises(InputError, match=r'val_dataloader\.batch_size=1'):
        preflight.check_data(Config.fromfile(path), ('train', 'val'))
    with pytest.raises(SystemExit) as end:
        check_data.main([str(path), '--phases', 'val', '--no-similar', '--workers', '1'])
    assert end.value.code == 1
    assert 'several sizes in a batch' in capsys.readouterr().out


def test_a_new_config_tests_one_picture_at_a_time_if_it_must(configure):
    """As one that is made from configs/fpn_tnt_digits.py, whose scenes have one size."""
    cfg = Config.fromfile(configure(SEGMENTOR, keep_ratio=True))
    assert len(set_one_picture_a_batch(cfg)) == 2
    assert cfg.val_dataloader.batch_size == cfg.test_dataloader.batch_size == 1
    assert not set_one_picture_a_batch(cfg)
    cfg = Config.fromfile(configure(SEGMENTOR, keep_ratio=False))
    assert not set_one_picture_a_batch(cfg)
    assert cfg.val_dataloader.batch_size == 4
