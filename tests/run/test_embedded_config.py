"""The config inside a checkpoint: read as it was written, and nothing of it is ever run."""

import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tnt_backbone.run.embedded_config import (
    UntrustedConfigError,
    parse_config,
    trusted_config,
    trusted_test_config,
)

CONFIGS = Path(__file__).parents[2] / 'configs'
SHORT = ('retinanet_tnt_digits', 'mask_rcnn_tnt_s_coco', 'dino_pyramid_tnt_s_coco')
KINDS = (*SHORT, 'upernet_tnt_s_ade20k', 'mask2former_tnt_s_ade20k', 't2t_vit_14_imagenet')


def text_of(name):
    return Config.fromfile(CONFIGS / f'{name}.py').pretty_text


def written(*, model=None, pipeline=None, **other):
    cfg = dict(
        default_scope='mmdet',
        model=dict(type='RetinaNet', **(model or {})),
        test_dataloader=dict(
            dataset=dict(type='CocoDataset', pipeline=pipeline or [dict(type='LoadImageFromFile')])
        ),
    )
    return Config({**cfg, **other}).pretty_text


@pytest.mark.parametrize('name', KINDS)
def test_what_mmengine_writes_is_read_by_value(name):
    text = text_of(name)
    assert parse_config(text) == Config.fromstring(text, '.py').to_dict()


@pytest.mark.parametrize('name', KINDS)
def test_our_configs_need_no_trust(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    kept = trusted_config(cfg.pretty_text)
    assert kept.model.type == cfg.model.type
    assert kept.model.backbone.type == cfg.model.backbone.type
    assert kept.test_dataloader.dataset.pipeline[0].type.startswith('LoadImage')
    assert 'Pretrained' not in kept.pretty_text


TWO_STAGES = ('mask_rcnn_tnt_s_coco', 'cascade_mask_rcnn_3x_pyramid_tnt_s_coco')


@pytest.mark.parametrize('name', [*TWO_STAGES, 'upernet_tnt_s_ade20k', 't2t_vit_14_imagenet'])
def test_the_model_is_built_without_its_settings_of_training(name):
    kept = trusted_config(text_of(name))
    scope = DefaultScope.overwrite_default_scope(kept.default_scope)
    with scope, torch.device('meta'):  # without memory for the weights
        model = MODELS.build(kept.model)
    assert not getattr(model, 'train_cfg', None)


@pytest.mark.parametrize(
    'text',
    [
        "__import__('os').system('touch {mark}')",
        "import os\nos.system('touch {mark}')",
        "model = __import__('os').system('touch {mark}')",
        "model = dict(type=open('{mark}', 'w'))",
        "model = [x for x in [open('{mark}', 'w')]]",
        "model = (lambda: open('{mark}', 'w'))()",
        "model = f\"{{open('{mark}', 'w')}}\"",
        "class model:\n    a = open('{mark}', 'w')",
        "model = dict(**open('{mark}', 'w'))",
        "model = dict(open('{mark}', 'w'))",
        "model: open('{mark}', 'w') = 1",
        "@open('{mark}', 'w').close\ndef model(): ...",
        'model = ' + '(' * 500 + ')' * 500,
        'model = ' + '-' * 100_000 + '1',
        'model = a.b',
        'model = other',
        'a, b = 1, 2',
        'model = dict(a=1) | dict(b=2)',
    ],
)
def test_code_is_refused_and_not_run(tmp_path, text):
    mark = tmp_path / 'mark'
    with pytest.raises(UntrustedConfigError):
        trusted_config(text.replace('{mark}', str(mark)).replace('{{', '{').replace('}}', '}'))
    assert not mark.exists()


@pytest.mark.parametrize(
    ('key', 'options'),
    [
        ('type', dict(model=dict(neck=dict(type='subprocess.check_output', args=['ls'])))),
        ('type', dict(model=dict(neck=dict(type='os.system', command='ls')))),
        ('type', dict(model=dict(neck=dict(type='builtins.exec')))),
        ('type', dict(model=dict(neck=dict(type='antigravity')))),
        ('type', dict(model=dict(neck=dict(type='torch.hub.load')))),
        ('type', dict(model=dict(neck=dict(type='torch.nn.modules.module.warnings.warn')))),
        ('type', dict(model=dict(neck=dict(type='mmengine.fileio.io.os.system')))),
        ('type', dict(model=dict(neck=dict(type='mmengine.config.Config', filename='a')))),
        ('type', dict(model=dict(neck=dict(type='mmengine.Config.fromfile', filename='a')))),
        ('type', dict(model=dict(neck=dict(type='evil.FPN')))),
        # mmcv evaluates the type of an NMS as Python
        ('type', dict(model=dict(test_cfg=dict(nms=dict(type='exec'))))),
        ('type', dict(model=dict(test_cfg=dict(nms=dict(type="print('a')"))))),
        # Registry.build imports SCOPE.registry
        ('_scope_', dict(model=dict(neck=dict(type='FPN', _scope_='evil')))),
        # MMSegmentation loads a pickle, MMDetection a config file, from a string
        ('class_weight', dict(model=dict(bbox_head=dict(class_weight='weights.pkl')))),
        ('teacher_config', dict(model=dict(teacher_config='teacher.py'))),
        ('url', dict(model=dict(url='http://example.org/weights'))),
        # MMPretrain evaluates the dtype of torchvision's transforms as Python
        ('dtype', dict(pipeline=[dict(type='Resize', dtype="float32 or open('a', 'w')")])),
        ('type', dict(pipeline=[dict(type='mmdet.evil.Resize')])),
        ('custom_imports', dict(custom_imports=dict(imports=['evil'], allow_failed_imports=True))),
        ('custom_imports', dict(custom_imports=dict(imports='evil'))),
        ('default_scope', dict(default_scope='evil')),
    ],
)
def test_what_is_not_of_the_libraries_is_named_and_refused(key, options):
    with pytest.raises(UntrustedConfigError, match=key):
        trusted_config(written(**options))


@pytest.mark.parametrize(
    'type', ['TIMMBackbone', 'HuggingFaceClassifier', 'AutoModelForCausalLM', 'MiniGPT4', 'RAM']
)
def test_classes_of_the_libraries_that_fetch_or_unpickle_are_refused(type):
    text = written(default_scope='mmpretrain', model=dict(backbone=dict(type=f'mmpretrain.{type}')))
    with pytest.raises(UntrustedConfigError, match=type):
        trusted_config(text)


def test_an_unknown_data_set_is_not_looked_up():
    dataset = dict(type='subprocess.run', pipeline=[dict(type='LoadImageFromFile')])
    kept = trusted_config(written(test_dataloader=dict(dataset=dataset)))
    assert kept.test_dataloader.dataset.type == ''


def test_the_user_can_allow_a_name():
    text = written(model=dict(neck=dict(type='mine.Neck')))
    with pytest.raises(UntrustedConfigError, match='--trust'):
        trusted_config(text)
    assert trusted_config(text, trust=['mine.Neck']).model.neck.type == 'mine.Neck'


@pytest.mark.parametrize(
    'type',
    [
        'FPN',
        'mmdet.FPN',
        'mmdet.models.necks.fpn.FPN',  # as configs of mmengine's new style are written
        'mmdet.models.FPN',
        'torch.nn.modules.activation.ReLU',
        'torch.nn.ReLU',
    ],
)
def test_ways_of_naming_a_class(type):
    text = written(model=dict(neck=dict(type=type)))
    assert trusted_config(text).model.neck.type == type


def test_weights_and_backends_of_the_training_are_left_out():
    initial = [dict(type='Pretrained', checkpoint='a.pth'), dict(type='Normal', layer='Conv2d')]
    text = written(
        model=dict(neck=dict(type='FPN', init_cfg=initial, pretrained='a.pth')),
        pipeline=[dict(type='LoadImageFromFile', backend_args=dict(backend='petrel'))],
    )
    kept = trusted_config(text)
    assert kept.model.neck == dict(type='FPN', init_cfg=None, pretrained=None)
    assert kept.test_dataloader.dataset.pipeline == [dict(type='LoadImageFromFile')]


def test_the_data_set_is_taken_out_of_its_wrappers():
    inner = dict(type='CocoDataset', pipeline=[dict(type='LoadImageFromFile')])
    wrapped = dict(type='RepeatDataset', times=2, dataset=dict(type='Concat', datasets=[inner]))
    text = written(test_dataloader=None, val_dataloader=dict(dataset=wrapped))
    assert trusted_config(text).test_dataloader.dataset.type == 'CocoDataset'


@pytest.mark.parametrize('name', KINDS)
def test_data_and_metrics_of_our_configs_need_no_trust(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    kept = trusted_test_config(cfg.pretty_text)
    assert kept.test_dataloader == cfg.test_dataloader
    if isinstance(cfg.test_evaluator, dict):  # for --cfg-options test_evaluator.KEY=VALUE
        assert kept.test_evaluator.type == cfg.test_evaluator.type
    else:
        types = [[entry.type for entry in one.test_evaluator] for one in (kept, cfg)]
        assert types[0] == types[1]


@pytest.mark.parametrize(
    ('key', 'dataset', 'evaluator'),
    [
        ('type', dict(type='subprocess.run'), {}),
        ('ann_file', dict(ann_file='data.pkl'), {}),
        ('ann_file', dict(ann_file='data.yaml'), {}),
        ('ann_file', dict(ann_file='http://example.org/a.json'), {}),
        ('type', {}, dict(type='builtins.exec')),
        ('ann_file', {}, dict(ann_file='data.pickle')),
        ('ann_file', dict(ann_file='data.pkl.gz'), {}),
        ('ann_file', dict(ann_file='data.npy'), {}),
        # numpy.load with pickles, whatever the file is called
        ('type', dict(type='OpenImagesDataset', hierarchy_file='data.txt'), {}),
        (
            'decode_backend',
            dict(pipeline=[dict(type='LoadImageFromFile', decode_backend='pickle')]),
            {},
        ),
        ('classes', dict(metainfo=dict(classes='http://example.org/names.txt')), {}),
        ('collate_fn', {}, {}),
    ],
)
def test_data_that_run_code_are_refused(key, dataset, evaluator):
    loader = dict(
        dataset=dict(type='CocoDataset', pipeline=[dict(type='LoadImageFromFile')]) | dataset
    )
    if key == 'collate_fn':
        loader['collate_fn'] = dict(type='os.system')
    text = written(test_dataloader=loader, test_evaluator=dict(type='CocoMetric') | evaluator)
    with pytest.raises(UntrustedConfigError, match=key):
        trusted_test_config(text)


def test_an_evaluator_writes_no_file_of_its_own():
    text = written(test_evaluator=dict(type='CocoMetric', outfile_prefix='/home/somebody/.bashrc'))
    assert trusted_test_config(text).test_evaluator == dict(type='CocoMetric')


def test_a_config_without_metrics_is_named():
    with pytest.raises(UntrustedConfigError, match='test_evaluator'):
        trusted_test_config(written())


def test_the_data_of_a_test_are_local_files():
    """A backend of mmengine puts a folder of the config's choice before Python's own."""
    backend = dict(backend='memcached', server_list_cfg='a', client_cfg='b', sys_path='data')
    pipeline = [dict(type='LoadImageFromFile', backend_args=backend)]
    dataset = dict(type='CocoDataset', backend_args=backend, pipeline=pipeline)
    text = written(test_dataloader=dict(dataset=dataset), test_evaluator=dict(type='CocoMetric'))
    kept = trusted_test_config(text)
    assert 'memcached' not in kept.pretty_text


@pytest.mark.parametrize(
    'other',
    [
        dict(default_scope=['mmdet']),
        dict(model=[]),
        dict(model=dict(type='RetinaNet', init_cfg=5)),
        dict(model=dict(type='RetinaNet', init_cfg=[5])),
        dict(test_dataloader='text'),
        dict(test_dataloader=dict(dataset=dict(datasets=5))),
        dict(custom_imports=dict(imports=5)),
        dict(custom_imports=dict(imports=['mmdet.nowhere'])),
        dict(custom_imports=dict(imports=['mmdet.'])),
    ],
)
def test_a_config_of_another_structure_is_refused(other):
    content = dict(default_scope='mmdet', model=dict(type='RetinaNet'), **{}) | other
    text = ''.join(f'{key} = {value!r}\n' for key, value in content.items())
    with pytest.raises(UntrustedConfigError):
        trusted_test_config(text)


@pytest.mark.parametrize(
    'text', ['a = 1\0', "a = '\ud800'", 'a = [' * 300, 'a = {[]: 1}', '\ufeff']
)
def test_a_text_that_is_no_config_is_refused(text):
    with pytest.raises(UntrustedConfigError):
        trusted_config(text)


def test_a_library_that_is_not_installed_is_no_fault_of_the_file(monkeypatch):
    class Missing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == 'mmdet':
                raise ModuleNotFoundError("No module named 'mmdet'", name=name)

    text = text_of('retinanet_tnt_digits')
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mmdet']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, 'meta_path', [Missing, *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as raised:
        trusted_config(text)
    assert raised.value.name == 'mmdet'
