"""Layer-wise decay against mmpretrain's constructor, in all three libraries and families."""

import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn

import tnt_backbone.engine  # noqa: F401
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.engine.layer_decay import LayerDecayOptimWrapperConstructor, layer_depths

CONFIGS = Path(__file__).parents[2] / 'configs'
OPTIMIZER = dict(type='AdamW', lr=1e-3, weight_decay=0.05)


class Model(nn.Module):
    def __init__(self, backbone_class):
        super().__init__()
        self.backbone = backbone_class(next(iter(backbone_class.VARIANTS)), img_size=64)
        self.bbox_head = nn.Conv2d(3, 3, 1)


@pytest.fixture(params=BACKBONES, ids=lambda backbone: backbone.__name__)
def model(request):
    return Model(request.param)


def settings(model, optimizer):
    """Rate and decay of each parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }


def build(model, **paramwise_cfg):
    constructor = LayerDecayOptimWrapperConstructor(dict(optimizer=OPTIMIZER), paramwise_cfg)
    return constructor(model).optimizer


def test_equals_mmpretrains_on_a_backbone(model):
    """MMPretrain asks the model itself for the depths, so its constructor takes only a backbone."""
    paramwise_cfg = dict(layer_decay_rate=0.7, norm_decay_mult=0.0, bias_decay_mult=0.0)
    init_default_scope('mmpretrain')
    theirs = LearningRateDecayOptimWrapperConstructor(dict(optimizer=OPTIMIZER), paramwise_cfg)
    expected = settings(model.backbone, theirs(model.backbone).optimizer)
    actual = settings(model.backbone, build(model.backbone, **paramwise_cfg))
    assert actual.keys() == expected.keys()
    for name, (lr, weight_decay) in expected.items():
        assert actual[name] == pytest.approx((lr, weight_decay)), name


@pytest.mark.parametrize(
    'config',
    [
        'tnt_s_imagenet',
        'retinanet_tnt_s_coco',
        'mask_rcnn_pyramid_tnt_s_coco',
        'dino_pyramid_tnt_s_coco',
        'upernet_t2t_vit_14_ade20k',
        'mask2former_tnt_s_ade20k',
    ],
)
def test_rates_of_a_whole_model_equal_mmpretrains_of_a_classifier_with_its_backbone(config):
    cfg = Config.fromfile(CONFIGS / f'{config}.py')
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):  # the names decide
        model = MODELS.build(cfg.model)
    init_default_scope('mmpretrain')
    classifier = MODELS.build(dict(type='ImageClassifier', backbone=dict(type='LeNet5')))
    classifier.backbone = model.backbone
    theirs = LearningRateDecayOptimWrapperConstructor(
        dict(optimizer=OPTIMIZER), dict(layer_decay_rate=0.7)
    )
    expected = settings(classifier, theirs(classifier).optimizer)
    actual = settings(model, build(model, layer_decay_rate=0.7))
    assert actual.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    assert len({lr for lr, _ in actual.values()}) > model.backbone.num_layers
    for name, found in actual.items():
        assert found == pytest.approx(expected.get(name, (1e-3, 0.05))), name


FOREIGN = {
    'VisionTransformer': dict(
        arch=dict(embed_dims=8, num_layers=3, num_heads=1, feedforward_channels=8), img_size=32
    ),
    'SwinTransformer': dict(
        arch=dict(embed_dims=8, depths=[1, 1, 2, 1], num_heads=[1] * 4), img_size=64
    ),
    'ConvNeXt': dict(arch=dict(depths=[1, 1, 2, 1], channels=[4, 4, 8, 8])),
}


@pytest.mark.parametrize('kind', FOREIGN)
def test_mmpretrains_own_backbones_have_their_rates(kind):
    init_default_scope('mmpretrain')
    paramwise_cfg = dict(layer_decay_rate=0.7, norm_decay_mult=0.0)
    backbone = dict(type=kind, **FOREIGN[kind])
    head = dict(type='LinearClsHead', num_classes=2, in_channels=8)
    classifier = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    theirs = LearningRateDecayOptimWrapperConstructor(dict(optimizer=OPTIMIZER), paramwise_cfg)
    expected = settings(classifier, theirs(classifier).optimizer)
    actual = settings(classifier, build(classifier, **paramwise_cfg))
    assert actual.keys() == expected.keys()
    for name, found in expected.items():
        assert actual[name] == pytest.approx(found), name


def test_a_model_that_answers_itself_is_asked_before_its_backbone():
    """As by mmpretrain's constructor: a model of one's own may give its neck a depth."""

    class Answering(Model):
        def get_layer_depth(self, name):
            return (1, 3) if name.startswith('bbox_head.') else (0, 3)

    model = Answering(BACKBONES[0])
    assert layer_depths(model) == {
        name: 1 if name.startswith('bbox_head.') else 2 for name, _ in model.named_parameters()
    }


def test_a_teacher_and_its_student_are_counted_each():
    student, teacher = (Model(backbone) for backbone in BACKBONES[:2])
    pair = nn.ModuleDict({'student': student, 'teacher': teacher})
    rates = settings(pair, build(pair, layer_decay_rate=0.5))
    for name, model in pair.items():
        for parameter, found in settings(model, build(model, layer_decay_rate=0.5)).items():
            assert rates[f'{name}.{parameter}'] == pytest.approx(found)


def test_a_classifier_without_depths_is_refused():
    init_default_scope('mmpretrain')
    classifier = MODELS.build(dict(type='ImageClassifier', backbone=dict(type='LeNet5')))
    with pytest.raises(ValueError, match=r'ImageClassifier\b.*get_layer_depth'):
        layer_depths(classifier)


@pytest.mark.parametrize('optimizer', [dict(type='AdamW'), dict(type='Adagrad', lr=None)])
def test_an_optimizer_without_a_rate_is_refused(optimizer):
    with pytest.raises(ValueError, match=r'optim_wrapper\.optimizer\.lr'):
        LayerDecayOptimWrapperConstructor(dict(optimizer=optimizer), dict(layer_decay_rate=0.5))


@pytest.mark.parametrize('kind', ['AdamW', 'SGD'])
def test_the_optimizers_own_defaults_stay(kind):
    """AdamW decays weights by 0.01 where a config says nothing, SGD by 0."""
    model = Model(BACKBONES[0])
    optimizer = dict(type=kind, lr=1e-3)
    keys = {'bbox_head': dict(lr_mult=2.0, betas=[0.8, 0.9])}
    constructors = (
        DefaultOptimWrapperConstructor(dict(optimizer=optimizer), dict(custom_keys=keys)),
        LayerDecayOptimWrapperConstructor(
            dict(optimizer=optimizer), dict(custom_keys=keys, layer_decay_rate=1)
        ),
    )
    expected, actual = (settings(model, make(model).optimizer) for make in constructors)
    assert actual == expected


def test_a_shared_parameter_is_moved_once():
    model = Model(BACKBONES[0])
    model.second_head = nn.Conv2d(3, 3, 1)
    model.second_head.weight = model.bbox_head.weight
    optimizer = build(model, layer_decay_rate=0.5)
    inside = [id(parameter) for group in optimizer.param_groups for parameter in group['params']]
    assert len(inside) == len(set(inside)) == len(list(model.parameters()))


def test_heads_keep_the_full_rate_and_the_embedding_has_the_least(model):
    rates = settings(model, build(model, layer_decay_rate=0.5))
    assert rates['bbox_head.weight'] == (1e-3, 0.05)
    pyramid = next(name for name in rates if 'pyramid' in name)
    assert rates[pyramid] == (1e-3, 0.05)
    least = min(lr for lr, _ in rates.values())
    assert least == pytest.approx(1e-3 * 0.5 ** (model.backbone.num_layers + 1))
    assert rates[next(iter(rates))][0] > least, 'the first group is the one that logs show'


def test_custom_keys_are_honoured(model):
    name = next(name for name, _ in model.backbone.named_parameters())
    plain = settings(model, build(model, layer_decay_rate=0.5))
    custom = settings(
        model,
        build(
            model,
            layer_decay_rate=0.5,
            custom_keys={
                f'backbone.{name.rpartition(".")[0]}': dict(lr_mult=10.0, decay_mult=0.0),
                'bbox_head': dict(lr_mult=2.0),
            },
        ),
    )
    assert custom[f'backbone.{name}'] == pytest.approx((10 * plain[f'backbone.{name}'][0], 0.0))
    assert custom['bbox_head.weight'] == (2e-3, 0.05)


def test_every_trainable_parameter_is_in_one_group(model):
    model.backbone.requires_grad_(False)
    next(model.backbone.pyramid.parameters()).requires_grad_(True)
    optimizer = build(model, layer_decay_rate=0.5)
    inside = [id(parameter) for group in optimizer.param_groups for parameter in group['params']]
    trainable = [id(parameter) for parameter in model.parameters() if parameter.requires_grad]
    assert sorted(inside) == sorted(trainable)


def test_groups_are_few_and_shown(model, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.handler.setLevel(logging.INFO)
    optimizer = build(model, layer_decay_rate=0.5, norm_decay_mult=0.0)
    logger.removeHandler(caplog.handler)
    assert len(optimizer.param_groups) <= 2 * (model.backbone.num_layers + 2)
    table = next(r.message for r in caplog.records if r.message.count('\n|') > 1)
    assert table.count('\n|') == len(optimizer.param_groups) + 1
    assert '0.001' in table


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmpretrain'])
def test_its_bare_name_resolves_in_each_library(scope):
    init_default_scope(scope)
    model = Model(BACKBONES[0])
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=OPTIMIZER,
            constructor='LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.9),
        ),
    )
    assert len({group['lr'] for group in wrapper.optimizer.param_groups}) == 14


@pytest.mark.parametrize('rate', [None, 0.0, 1.5, '0.7'])
def test_bad_rates_are_refused(rate):
    with pytest.raises(ValueError, match=f'layer_decay_rate={rate!r} '):
        LayerDecayOptimWrapperConstructor(dict(optimizer=OPTIMIZER), dict(layer_decay_rate=rate))


def test_a_model_without_depths_is_refused():
    with pytest.raises(ValueError, match=r'Linear\b.*get_layer_depth'):
        layer_depths(nn.Linear(2, 2))


def test_a_step_moves_the_head_more_than_the_embedding():
    torch.manual_seed(0)
    model = Model(BACKBONES[0])
    optimizer = build(model, layer_decay_rate=0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name: (p - before[name]).abs().max().item() for name, p in model.named_parameters()}
    assert moved['bbox_head.bias'] > 100 * moved['backbone.cls_token'] > 0
