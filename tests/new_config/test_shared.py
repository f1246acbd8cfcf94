"""What user data of all formats needs in a config."""

import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config

from tnt_backbone.new_config.shared import dicts, skip_damaged_images

LEAF = {'type': 'CocoDataset', 'pipeline': [{'type': 'LoadImageFromFile', 'to_float32': True}]}
BRANCHES = [[{'type': 'LoadImageFromFile'}], ({'type': 'LoadAnnotations'},)]
TRAINING = {
    'plain': LEAF,
    'repeated': {'type': 'RepeatDataset', 'times': 3, 'dataset': LEAF},
    'mixed': {
        'type': 'MultiImageMixDataset',
        'dataset': {'type': 'ClassBalancedDataset', 'dataset': LEAF},
        'pipeline': [{'type': 'Mosaic'}],
    },
    'several': {'type': 'ConcatDataset', 'datasets': [LEAF]},
    'branches': {'pipeline': [{'type': 'RandomChoice', 'transforms': BRANCHES}]},
    'scope': {'pipeline': [{'type': 'mmdet.LoadImageFromFile'}]},
    'library': {'pipeline': [{'type': 'mmcv.LoadImageFromFile'}]},
    'class': {'pipeline': [{'type': LoadImageFromFile}]},
}


@pytest.mark.parametrize('form', TRAINING)
def test_training_skips_damaged_images_and_validation_does_not(form):
    pipelines = {'train_dataloader': {'dataset': TRAINING[form]}}
    cfg = Config(pipelines | {'val_dataloader': pipelines['train_dataloader']})
    (line,) = skip_damaged_images(cfg)
    assert 'LoadImageOrSkip' in line

    def loaders(phase):
        types = [node.get('type') for node in dicts(cfg[f'{phase}_dataloader'])]
        return [kind for kind in types if 'LoadImage' in str(kind)]

    assert loaders('train') == ['LoadImageOrSkip']
    assert len(loaders('val')) == 1
    assert 'LoadImageFromFile' in str(loaders('val')[0])
    assert skip_damaged_images(cfg) == []


def test_pipelines_that_a_hook_switches_to():
    hook = {'type': 'PipelineSwitchHook', 'switch_pipeline': [{'type': 'LoadImageFromFile'}]}
    cfg = Config({'custom_hooks': [hook], 'train_dataloader': {'dataset': LEAF}})
    skip_damaged_images(cfg)
    assert cfg.custom_hooks[0].switch_pipeline[0].type == 'LoadImageOrSkip'
    assert cfg.train_dataloader.dataset.pipeline[0] == {
        'type': 'LoadImageOrSkip',
        'to_float32': True,
    }
