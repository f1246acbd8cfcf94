"""The table of libraries, held against the libraries themselves."""

import importlib
import inspect

import pytest
from mmengine.config import Config
from mmengine.utils import get_object_from_string

from tnt_backbone.run.libraries import (
    LIBRARIES,
    library_of,
    set_dataloader_defaults,
    show_predictions,
    use_tta,
)

HOOKS = {
    'mmdet': 'DetVisualizationHook',
    'mmseg': 'SegVisualizationHook',
    'mmpretrain': 'VisualizationHook',
}


def config(scope, **kwargs):
    return Config(
        {
            'default_scope': scope,
            'default_hooks': {'visualization': {'type': HOOKS.get(scope)}},
            'visualizer': {'type': 'Visualizer'},
            'test_evaluator': {'type': 'Metric'},
            'test_dataloader': {'dataset': {'type': 'A', 'pipeline': ['as it is']}},
            'model': {'type': 'Model'},
            **kwargs,
        }
    )


@pytest.mark.parametrize('scope', LIBRARIES)
def test_pictures_are_asked_for_in_the_librarys_own_words(scope):
    cfg = config(scope)
    show_predictions(cfg, show=True, show_dir='pictures', wait_time=0.5)
    hook = dict(cfg.default_hooks.visualization)
    name = hook.pop('type')
    path = name if '.' in name else f'{scope}.engine.hooks.{name}'
    # ours and the library's that it extends
    parameters = {
        parameter
        for kind in get_object_from_string(path).__mro__
        for parameter in inspect.signature(kind.__init__).parameters
    }
    open_ended = {'wait_time'} if scope == 'mmpretrain' else set()  # handed on to its visualizer
    assert set(hook) - open_ended <= parameters
    assert hook[LIBRARIES[scope].draw_key] is True
    assert (hook['show'], hook['wait_time'], hook['interval']) == (True, 0.5, 1)
    assert 'pictures' in [*hook.values(), cfg.visualizer.get('save_dir')]


@pytest.mark.parametrize('scope', LIBRARIES)
def test_predictions_are_kept_by_the_librarys_own_metric(scope, tmp_path):
    cfg = config(scope)
    out = str(tmp_path / 'labels') if scope == 'mmseg' else str(tmp_path / 'predictions.pkl')
    library_of(cfg).set_out(cfg, out)
    assert cfg.test_evaluator[0]['type'] == 'Metric'
    if scope == 'mmseg':
        from mmseg.evaluation import IoUMetric

        assert cfg.test_evaluator[0].output_dir == out
        assert 'output_dir' in inspect.signature(IoUMetric).parameters
    else:
        registry = importlib.import_module(f'{scope}.registry')
        importlib.import_module(f'{scope}.evaluation')
        metric = registry.METRICS.build(cfg.test_evaluator[1])
        assert metric.out_file_path == out


@pytest.mark.parametrize(
    ('scope', 'out', 'hint'),
    [
        ('mmdet', 'boxes.json', r'\.pkl'),
        ('mmpretrain', 'scores', r'\.pkl'),
        ('mmseg', 'labels.pkl', 'folder'),
    ],
)
def test_out_must_suit_the_library(scope, out, hint):
    cfg = config(scope)
    with pytest.raises(ValueError, match=rf'--out .{out}.*{hint}'):
        library_of(cfg).set_out(cfg, out)


def test_other_scopes_are_named():
    with pytest.raises(ValueError, match=r"default_scope='mmpose'.*mmdet, mmseg, mmpretrain"):
        library_of(config('mmpose'))
    cfg = config('mmpose')
    set_dataloader_defaults(cfg)  # training another library's model needs nothing from the table
    assert set(cfg.test_dataloader) == {'dataset'}


def test_mmpretrains_configs_leave_the_collate_function_to_the_tool():
    cfg = config('mmpretrain', train_dataloader={'batch_size': 2}, val_dataloader=None)
    set_dataloader_defaults(cfg)
    assert cfg.train_dataloader.collate_fn.type == 'default_collate'
    assert cfg.val_dataloader is None


def test_show_needs_a_visualizer():
    with pytest.raises(ValueError, match=r'--show.*visualizer'):
        show_predictions(config('mmdet', visualizer=None), show=True, show_dir=None, wait_time=0)


def test_tta_wraps_the_model_and_reaches_into_wrapped_datasets():
    dataset = {'type': 'RepeatDataset', 'dataset': {'type': 'A', 'pipeline': ['as it is']}}
    cfg = config(
        'mmdet',
        tta_model={'type': 'DetTTAModel'},
        tta_pipeline=['flipped'],
        test_dataloader={'dataset': dataset},
    )
    use_tta(cfg)
    assert cfg.model == {'type': 'DetTTAModel', 'module': {'type': 'Model'}}
    assert cfg.test_dataloader.dataset.dataset.pipeline == ['flipped']


def test_tta_needs_a_recipe():
    with pytest.raises(ValueError, match=r'--tta.*tta_model.*tta_pipeline'):
        use_tta(config('mmdet'))
