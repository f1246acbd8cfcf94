"""The constructor of a slow backbone, on all families."""

import copy

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

import tnt_backbone.engine  # noqa: F401
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.engine.slow_backbone import NORMS, UNDECAYED

LR, DECAY = 1e-3, 0.05


class Model(nn.Module):
    def __init__(self, backbone_class):
        super().__init__()
        self.backbone = backbone_class(next(iter(backbone_class.VARIANTS)), img_size=64)
        self.bbox_head = nn.Sequential(nn.Conv2d(3, 3, 1), nn.GroupNorm(1, 3))


@pytest.fixture(params=BACKBONES, ids=lambda backbone: backbone.__name__)
def model(request):
    return Model(request.param)


def config(**custom_keys):
    return dict(
        optimizer=dict(type='AdamW', lr=LR, weight_decay=DECAY),
        constructor='SlowBackboneOptimWrapperConstructor',
        paramwise_cfg=dict(custom_keys=custom_keys),
    )


def settings(model, cfg):
    """Rate and decay of each parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in build_optim_wrapper(model, cfg).optimizer.param_groups
        for parameter in group['params']
    }


def test_the_backbone_is_slow_and_its_norms_and_biases_do_not_decay(model):
    found = settings(model, config(backbone=dict(lr_mult=0.1)))
    expected = {}
    for path, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            in_backbone = path.startswith('backbone')
            slow = in_backbone and not path.startswith('backbone.pyramid')
            spared = in_backbone and (isinstance(module, NORMS) or name in ('bias', *UNDECAYED))
            full_name = f'{path}.{name}'
            expected[full_name] = (LR * 0.1 if slow else LR, 0.0 if spared else DECAY)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name
    assert len(set(expected.values())) > 2


def test_one_key_changes_the_rate_of_the_whole_backbone(model):
    slow = settings(model, config(backbone=dict(lr_mult=0.1)))
    slower = settings(model, config(backbone=dict(lr_mult=0.01)))
    for name, (lr, decay) in slow.items():
        share = 1.0 if lr == LR else 0.1
        assert slower[name] == pytest.approx((lr * share, decay)), name


def test_keys_of_the_config_win_and_the_config_stays_as_it_is(model):
    cfg = config(backbone=dict(lr_mult=0.1), bbox_head=dict(lr_mult=2.0))
    cfg['paramwise_cfg']['custom_keys']['backbone.pyramid'] = dict(lr_mult=0.5)
    given = copy.deepcopy(cfg)
    found = settings(model, cfg)
    assert cfg['paramwise_cfg'] == given['paramwise_cfg']
    assert found['bbox_head.0.weight'] == (2 * LR, DECAY)
    decayed = [values for name, values in found.items() if name.startswith('backbone.pyramid')]
    assert (0.5 * LR, DECAY) in decayed


@pytest.mark.parametrize('custom_keys', [{}, dict(bbox_head=dict(lr_mult=0.1))])
def test_without_a_share_it_names_the_missing_key(model, custom_keys):
    with pytest.raises(ValueError, match=r'custom_keys\.backbone\.lr_mult'):
        settings(model, config(**custom_keys))
