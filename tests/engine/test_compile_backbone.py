"""The hook of --compile on a model of MMDetection's making."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import HOOKS
from torch import nn

from tnt_backbone import TNT
from tnt_backbone.engine.compile_backbone import compile_backbone

ARCH = {'depth': 1, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 16, 'sentence_heads': 2}


def hook_of(cfg):
    compile_backbone(cfg)
    *others, options = cfg.custom_hooks
    return others, HOOKS.build({**options, 'backend': 'eager'})


def model():
    torch.manual_seed(0)
    made = nn.Module()
    made.backbone = TNT(ARCH, img_size=32, out_type='featmap')
    return made


@pytest.mark.parametrize('hooks', [{}, {'custom_hooks': [{'type': 'EMAHook'}]}])
def test_backbone_is_compiled_in_place(hooks):
    others, hook = hook_of(Config({'model': {'backbone': {}}, **hooks}))
    assert others == hooks.get('custom_hooks', [])
    plain, compiled = model().eval(), model().eval()
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    hook.before_run(SimpleNamespace(model=compiled))
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for size in (32, 48):  # images of several sizes, as detectors have them
        image = torch.randn(1, 3, size, size + 32)
        torch.testing.assert_close(compiled.backbone(image), plain.backbone(image))
    assert counters['stats']['unique_graphs'] >= 1
    assert not counters['graph_break']


def test_finds_the_backbone_in_a_distributed_model():
    _, hook = hook_of(Config({'model': {'backbone': {}}}))
    inner, wrapped = model(), MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = inner
    hook.before_run(SimpleNamespace(model=wrapped))
    assert inner.backbone._compiled_call_impl is not None


def test_model_without_a_backbone_is_refused():
    with pytest.raises(ValueError, match=r"--compile.*SemiBaseDetector.*\['detector'"):
        compile_backbone(Config({'model': {'type': 'SemiBaseDetector', 'detector': {}}}))
