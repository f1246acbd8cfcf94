"""The backbones with each path of their inner blocks: the same weights, the same function."""

from unittest import mock

import pytest
import torch

from tnt_backbone import TNT, PyramidTNT
from tnt_backbone.ops import chunked

VARIABLE = 'TNT_BACKBONE_INNER_BLOCK'
TINY = {'depth': 2, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 16, 'sentence_heads': 2}
TINY_PYRAMID = {
    'depths': [1] * 4,
    'word_dims': [4, 4, 8, 8],
    'word_heads': [1, 1, 2, 2],
    'sentence_dims': [16] * 4,
    'sentence_heads': [2] * 4,
}
SHARED = {'img_size': 64, 'out_channels': None, 'drop_path_rate': 0.5}
MODELS = {
    'TNT, official': (TNT, TINY, {'formulation': 'official'}),
    'TNT, legacy': (TNT, TINY, {'formulation': 'legacy'}),
    'TNT, with_cp': (TNT, TINY, {'with_cp': True}),
    'TNT, 64 words': (TNT, TINY, {'word_stride': 2}),
    'PyramidTNT': (PyramidTNT, TINY_PYRAMID, {}),
}


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def build(request):
    family, arch, options = request.param

    def _build(backend):
        torch.manual_seed(0)
        return family(arch, inner_backend=backend, **SHARED, **options).double()

    return _build


def step(backbone):
    """Return the maps of one step and all gradients, with the same random numbers each time."""
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64).requires_grad_()
    torch.manual_seed(2)
    maps = backbone(image)
    return maps, torch.autograd.grad(
        sum(level.square().mean() for level in maps), list(backbone.parameters())
    )


def is_fused(backbone):
    with mock.patch.object(chunked, 'forward', wraps=chunked.forward) as operation:
        backbone(torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    return operation.called


def call_modules(backbone):
    """Have the modules of the inner blocks called one by one."""
    for name, module in backbone.named_modules():
        if name.endswith('word_block.norm1'):
            module.register_forward_hook(lambda *_: None)
    return backbone


@pytest.mark.parametrize('backend', ['reference', 'chunked'])
def test_equals_the_modules_under_the_same_seed(build, backend):
    plain, other = call_modules(build(None)), build(backend)
    assert list(plain.state_dict()) == list(other.state_dict())
    torch.manual_seed(1)
    expected = step(plain)
    torch.manual_seed(1)
    torch.testing.assert_close(step(other), expected, rtol=1e-8, atol=1e-10)


def test_variable_and_argument_choose_the_path(monkeypatch, build):
    backbone = build(None).eval()
    assert is_fused(backbone), 'on a CPU it is the default'
    assert not is_fused(build('reference').eval())
    monkeypatch.setenv(VARIABLE, 'reference')
    assert not is_fused(backbone)
    assert is_fused(build('chunked').eval()), 'the argument wins'
    monkeypatch.setenv(VARIABLE, 'gpu')
    with pytest.raises(ValueError, match=f"{VARIABLE}='gpu'.*'reference'"):
        build(None)
    with pytest.raises(ValueError, match=r"inner_backend='gpu'.*'reference'"):
        build('gpu')
