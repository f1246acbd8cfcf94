"""A checkpoint of another model is refused where mmengine goes on with random numbers."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from torch import nn

from tnt_backbone.engine.fitting_checkpoint import FittingCheckpointHook


def load(state, *, whole, wrap=lambda model: model):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    runner = SimpleNamespace(model=wrap(model), _load_from='a.pth')
    hook = FittingCheckpointHook(whole=whole)
    hook.after_load_checkpoint(runner, {'state_dict': state})


def state_of(**changes):
    state = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict()
    return {name: value for name, value in {**state, **changes}.items() if value is not None}


class Averaged(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return data_samples_list


def averaged(model):
    model.test_step = None
    return Averaged(module=model)


@pytest.mark.parametrize(
    'wrap', [lambda m: m, nn.DataParallel, averaged, lambda m: nn.DataParallel(averaged(m))]
)
@pytest.mark.parametrize('whole', [True, False])
def test_the_own_weights_fit(whole, wrap):
    load(state_of(), whole=whole, wrap=wrap)
    load({f'module.{name}': value for name, value in state_of().items()}, whole=whole, wrap=wrap)
    # buffers have defaults; what the model does not have is left to mmengine's warning
    load(state_of(**{'1.running_mean': None, 'more': torch.ones(1)}), whole=whole)


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'0.weight': None}, r'a\.pth.*\b0\.weight'),
        ({'0.weight': torch.ones(4, 2)}, r'a\.pth.*\b0\.weight.*4, 2.*3, 2'),
    ],
)
def test_a_part_is_enough_for_a_training_only(changes, named):
    load(state_of(**changes), whole=False)
    with pytest.raises(ValueError, match=named):
        load(state_of(**changes), whole=True)


@pytest.mark.parametrize('whole', [True, False])
def test_weights_of_another_model_are_refused(whole):
    with pytest.raises(ValueError, match=r'a\.pth.*\b4\b.*fc\.weight'):
        load({'fc.weight': torch.ones(2)}, whole=whole)


def test_it_comes_after_hooks_that_change_the_checkpoint():
    # mmengine calls hooks of a lower number first; EMAHook puts its averages in place
    assert FittingCheckpointHook.priority == 'LOWEST'
    assert 'after_load_checkpoint' in Hook.stages
