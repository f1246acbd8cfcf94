"""What user data of all formats needs in a config."""

import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.conftest import ROOT
from tnt_backbone.new_config.shared import dicts, set_class_count, skip_damaged_images

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


def test_weights_of_other_classes_go_and_ignored_pixels_are_passed_over():
    """With weights, MMSegmentation's loss ends at the first pixel that is padded."""
    cfg = Config.fromfile(ROOT / 'configs/fpn_tnt_digits.py')
    assert cfg.model.decode_head.loss_decode.class_weight
    set_class_count(cfg, 2)
    with DefaultScope.overwrite_default_scope('mmseg'):
        loss = MODELS.build(cfg.model.decode_head.loss_decode)
    scores = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 255, 255]).repeat(1, 4, 1)
    total = torch.nn.functional.cross_entropy(scores, labels, ignore_index=255, reduction='sum')
    torch.testing.assert_close(loss(scores, labels, ignore_index=255), total / labels.numel())
