"""Configs as the tools read them."""

import re
import sys

import pytest
from mmengine.config import Config

from tnt_backbone.run.config import enable_auto_scale_lr, read_config


def read(path, **kwargs):
    return read_config(
        str(path),
        **{'options': None, 'work_dir': None, 'launcher': 'none', 'needs_model': False, **kwargs},
    )


def test_missing_config_names_those_that_are_near(tmp_path):
    (tmp_path / 'retinanet_small.py').write_text('')
    with pytest.raises(FileNotFoundError, match=r'retinanet_smal\.py.*retinanet_small\.py'):
        read(tmp_path / 'retinanet_smal.py')
    with pytest.raises(FileNotFoundError, match=r'configs/retinanet_tnt_s_coco\.py'):
        read('nowhere/retinanet_tnt_coco.py')


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('README.md', '# TNT', r'README\.md'),
        ('tnt.yml', 'Collections: []', r'tnt\.yml.*"model"'),
        ('unclosed.py', '\nmodel = dict(', r'unclosed\.py.*never closed.*line 2\)$'),
        ('unknown.py', '\n\nlr = base_lr * 2', "NameError: .*'base_lr'.*unknown\\.py, line 3"),
        ('broken.py', "_base_ = ['nowhere.py']", r'broken\.py.*nowhere\.py'),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name, needs_model=True)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        read(tmp_path)


def test_a_model_that_is_none_is_refused(tmp_path):
    (tmp_path / 'a.py').write_text('model = None')
    with pytest.raises(ValueError, match=r'a\.py.*"model"'):
        read(tmp_path / 'a.py', needs_model=True)


@pytest.mark.parametrize(
    ('module', 'reason'),
    [
        ('import gone', r"No module named 'gone' \(.*my_hooks\.py, line 1\)"),
        ('\nclass Hook(gone): ...', r"NameError: .*'gone'.*my_hooks\.py, line 2"),
        ("def f():\n    {}['key']\nf()", r"KeyError: 'key' \(.*my_hooks\.py, line 2\)"),
        (None, r"No module named 'my_hooks'.*PYTHONPATH"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why_and_where(tmp_path, monkeypatch, module, reason):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'my_hooks', raising=False)
    if module is not None:
        (tmp_path / 'my_hooks.py').write_text(module)
    (tmp_path / 'a.py').write_text("custom_imports = dict(imports=['my_hooks'])")
    with pytest.raises(ValueError, match=reason):
        read(tmp_path / 'a.py')


@pytest.mark.parametrize(
    'options', [{'pipeline.3.type': 'X'}, {'train.lr.x': 1}, {'pipeline.x': 1}]
)
def test_options_that_do_not_fit_are_refused(tmp_path, options):
    path = tmp_path / 'small.py'
    path.write_text("pipeline = [dict(type='Load')]\ntrain = dict(lr=1.0)")
    with pytest.raises(ValueError, match=r'--cfg-options.*small\.py'):
        read(path, options=options)


def test_work_dir_comes_from_option_then_config_then_name(tmp_path):
    plain, with_dir = tmp_path / 'plain.py', tmp_path / 'with_dir.py'
    plain.write_text('')
    with_dir.write_text("work_dir = 'mine'")
    assert read(plain).work_dir == 'work_dirs/plain'
    assert read(with_dir).work_dir == 'mine'
    assert read(with_dir, work_dir='given').work_dir == 'given'
    assert read(plain, options={'work_dir': 3}).work_dir == '3'


def test_options_reach_lists_and_datasets(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('train_dataloader = dict(batch_size=2, dataset=dict(pipeline=[dict(scale=1)]))')
    cfg = read(
        path,
        options={'train_dataloader.batch_size': 1, 'train_dataloader.dataset.pipeline.0.scale': 3},
    )
    assert cfg.train_dataloader.batch_size == 1
    assert cfg.train_dataloader.dataset.pipeline[0].scale == 3


def test_no_workers_means_no_persistent_workers(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('val_dataloader = dict(num_workers=2, persistent_workers=True)')
    assert read(path).val_dataloader.persistent_workers
    cfg = read(path, options={'val_dataloader.num_workers': 0})
    assert not cfg.val_dataloader.persistent_workers


def test_auto_scale_lr_needs_a_base_batch_size():
    cfg = Config({'auto_scale_lr': {'enable': False, 'base_batch_size': 16}})
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
    for cfg in (Config({}), Config({'auto_scale_lr': None})):
        with pytest.raises(ValueError, match='base_batch_size'):
            enable_auto_scale_lr(cfg)
