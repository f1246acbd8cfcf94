"""PyTorch's ways to look at each operation of a model: derivatives, vmap, fakes, traces."""

import dataclasses

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.ao.quantization import quantize_dynamic
from torch.func import functional_call, jvp, stack_module_state, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tnt_backbone.backbones import BACKBONES, PyramidTNT
from tnt_backbone.errors import InputTypeError


def make(family, **options):
    """A shallow backbone of a family, with the dimensions of its smallest variant."""
    torch.manual_seed(0)
    arch = dataclasses.asdict(next(iter(family.VARIANTS.values())))
    arch.update({'depths': (1, 1, 1, 1)} if 'depths' in arch else {'depth': 4})
    return family(arch, img_size=64, **options).eval()


@pytest.fixture(params=BACKBONES, ids=lambda family: family.__name__)
def family(request):
    return request.param


@pytest.fixture
def backbone(family):
    return make(family)


def images(batch=1, height=32, width=32):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_forward_mode_equals_finite_differences(backbone):
    backbone, x = backbone.double(), images().double()
    direction, step = torch.randn_like(x), 1e-6
    found = jvp(backbone, (x,), (direction,))[1]
    ahead, behind = backbone(x + step * direction), backbone(x - step * direction)
    for tangent, a, b in zip(found, ahead, behind, strict=True):
        torch.testing.assert_close(tangent, (a - b) / (2 * step), rtol=1e-4, atol=1e-5)


def test_second_derivatives_equal_finite_differences(backbone):
    """PyTorch's fused attention has none, so the forward pass uses the plain one."""
    backbone, x, step = backbone.double(), images().double(), 1e-5

    def slope(scale):
        scale = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
        with sdpa_kernel(SDPBackend.MATH):
            out = sum(level.square().mean() for level in backbone(x * scale))
        return torch.autograd.grad(out, scale, create_graph=True)[0], scale

    [found] = torch.autograd.grad(*slope(1.0))
    expected = (slope(1.0 + step)[0] - slope(1.0 - step)[0]) / (2 * step)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize('way', ['is_grads_batched', 'vmap'])
def test_a_backward_pass_may_be_batched(backbone, way):
    x = images().requires_grad_()
    out = backbone(x)[-1].flatten()
    rows = torch.eye(len(out))[:3]
    if way == 'vmap':
        [found] = vmap(lambda row: torch.autograd.grad(out, x, row, retain_graph=True))(rows)
    else:
        [found] = torch.autograd.grad(out, x, rows, is_grads_batched=True, retain_graph=True)
    for got, row in zip(found, rows, strict=True):
        [expected] = torch.autograd.grad(out, x, row, retain_graph=True)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_an_ensemble_is_one_model_under_vmap(family):
    """The relative positions of PyramidTNT are logits that differ from model to model."""
    models = [make(family) for _ in range(2)]
    for p in models[1].parameters():
        nn.init.normal_(p, std=0.1)
    state = stack_module_state(models)
    x = images(1, 64, 64)
    found = vmap(lambda *state: functional_call(models[0], state, (x,)))(*state)
    for i, model in enumerate(models):
        for got, expected in zip(found, model(x), strict=True):
            torch.testing.assert_close(got[i], expected, rtol=1e-3, atol=1e-3)


def test_fake_tensors_have_the_shapes_and_flops_of_real_ones(family):
    def flops_and_shapes(backbone, x):
        with FlopCounterMode(display=False) as counter:
            maps = backbone(x)
        return counter.get_total_flops(), [level.shape for level in maps]

    expected = flops_and_shapes(make(family), images(2, 40, 70))
    with FakeTensorMode():
        try:
            nn.init.trunc_normal_(torch.empty(2))
        except DataDependentOutputException:
            pytest.skip('trunc_normal_ reads the values that it draws since torch 2.15')
        assert flops_and_shapes(make(family), images(2, 40, 70)) == expected


def test_dynamic_quantisation_is_computed_by_the_quantised_layers(family):
    plain, x = make(family), images(2, 64, 64)
    quantised = quantize_dynamic(make(family), {nn.Linear}, dtype=torch.qint8)
    layers = [
        m for m in quantised.modules() if type(m).__module__.endswith('dynamic.modules.linear')
    ]
    assert len(layers) == sum(isinstance(m, nn.Linear) for m in plain.modules())
    rounded = make(family)
    for name, layer in quantised.named_modules():
        if layer in layers:
            rounded.get_submodule(name).weight.data = layer.weight().dequantize()
    with torch.no_grad():
        found, expected = quantised(x), rounded(x)
    for got, wanted, before in zip(found, expected, plain(x), strict=True):
        assert F.cosine_similarity(got.flatten(), wanted.flatten(), dim=0) > 0.998
        assert not torch.equal(got, before)


@pytest.mark.parametrize('training', [True, False])
def test_a_batch_without_images_has_maps_without_images(family, training):
    """As of a ResNet: a detector's branch may get no image."""
    backbone = make(family).train(training)
    x = images(0, 40, 70).requires_grad_()
    maps = backbone(x)
    assert [level.shape[1:] for level in maps] == [m.shape[1:] for m in backbone(images(2, 40, 70))]
    assert all(len(level) == 0 for level in maps)
    sum(level.sum() for level in maps).backward()
    assert x.grad.shape == x.shape
    assert all(p.grad is None or not p.grad.any() for p in backbone.parameters())


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')  # sizes become constants
def test_torchscript_is_traced_and_not_compiled():
    backbone, x = make(PyramidTNT), images(1, 40, 70)
    traced = torch.jit.trace(backbone, x)  # which compares with a second trace
    for got, expected in zip(traced(x + 1), backbone(x + 1), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputTypeError, match=r'torch\.jit\.script.*torch\.export'):
        torch.jit.script(nn.Sequential(backbone))
