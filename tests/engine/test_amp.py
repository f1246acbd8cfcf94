"""AMP on a CPU; on a GPU it is mmengine's own."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import nn

from tnt_backbone.engine.amp import enable_amp, suit_amp_to_device

cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')


def config(**kwargs):
    return Config(
        {
            'optim_wrapper': {
                'type': 'OptimWrapper',
                'optimizer': {'type': 'SGD', 'lr': 0.1},
                **kwargs,
            }
        }
    )


@cpu_only
@pytest.mark.parametrize('kind', ['AmpOptimWrapper', AmpOptimWrapper])
def test_forward_runs_in_bfloat16_and_weights_stay_in_float32(kind):
    cfg = config(type=kind)
    suit_amp_to_device(cfg)
    model = nn.Linear(4, 4)
    before = model.weight.clone()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    with wrapper.optim_context(model):
        output = model(torch.ones(2, 4))
    assert output.dtype == torch.bfloat16
    assert model(torch.ones(2, 4)).dtype == torch.float32  # outside of the context
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32
    torch.testing.assert_close(
        model.weight, before - 0.1 * 2
    )  # the gradient of a sum over two ones


@cpu_only
def test_state_of_a_gpu_run_can_be_loaded():
    cfg = config()
    enable_amp(cfg)
    suit_amp_to_device(cfg)
    wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper)
    state = {**wrapper.state_dict(), 'loss_scaler': {'scale': 65536.0}}
    state['param_groups'][0]['lr'] = 0.25
    wrapper.load_state_dict(state)
    assert wrapper.get_lr()['lr'] == [0.25]


@cpu_only
def test_float16_is_refused_on_a_cpu():
    cfg = config(dtype='float16')
    enable_amp(cfg)
    with pytest.raises(ValueError, match=r"dtype='float16'.*dtype=bfloat16"):
        suit_amp_to_device(cfg)


def test_without_amp_nothing_changes():
    cfg = config()
    suit_amp_to_device(cfg)
    assert cfg.optim_wrapper.type == 'OptimWrapper'


@pytest.mark.parametrize('kind', [None, 'OptimWrapper', OptimWrapper, 'AmpOptimWrapper'])
def test_amp_replaces_only_the_plain_wrapper(kind):
    cfg = Config({'optim_wrapper': {'type': kind} if kind else {}})
    enable_amp(cfg)
    assert cfg.optim_wrapper == {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}


def test_amp_keeps_no_wrapper_of_another_kind():
    cfg = Config({'optim_wrapper': {'type': 'DeepSpeedOptimWrapper'}})
    with pytest.raises(ValueError, match=r"--amp .*'DeepSpeedOptimWrapper'"):
        enable_amp(cfg)
