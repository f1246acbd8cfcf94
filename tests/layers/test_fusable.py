"""The operation replaces modules only where it equals them; whatever differs is computed."""

import functools
import types
from unittest import mock

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules import module as torch_module
from torch.utils.checkpoint import checkpoint

from tnt_backbone.layers import TransformerBlock, WordBlock, fusable, keep_paths
from tnt_backbone.ops import native


def make(backend, **options):
    """A block with its twin of plain modules, and words."""
    torch.manual_seed(0)
    block, plain = WordBlock(12, 3, backend=backend, **options), TransformerBlock(12, 3, **options)
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    plain.load_state_dict(block.state_dict())
    return block, plain, torch.randn(64, 16, 12)


def is_fused(block, words):
    with mock.patch.object(native, 'forward', wraps=native.forward) as operation:
        block(words)
    return operation.called


class Doubled(nn.Linear):
    def forward(self, tokens):
        return 2 * super().forward(tokens)


class OtherParameter(nn.Parameter):
    pass


def patch_instance(block):
    block.attn.forward = lambda tokens: 3 * tokens


def patch_as_accelerate_does(block):
    old = block.mlp.fc2.forward
    new = functools.partial(lambda module, tokens: 2 * old(tokens), block.mlp.fc2)
    block.mlp.fc2.forward = functools.update_wrapper(new, old)


def patch_method(block):
    block.norm2.forward = types.MethodType(lambda module, tokens: -tokens, block.norm2)


def replace_linear(block):
    block.attn.qkv = Doubled(12, 36, bias=False)


def without_dropout(block):
    block.mlp.drop = nn.Identity()


def another_eps(block):
    block.norm2.eps = 0.5


def both_eps(block):
    block.norm1.eps = block.norm2.eps = 0.5


def tanh(block):
    block.mlp.act = nn.GELU('tanh')


def no_bias(block):
    block.mlp.fc1 = nn.Linear(12, 48, bias=False)


def no_affine(block):
    block.norm1 = nn.LayerNorm(12, elementwise_affine=False)


def hook_of_dropout(block):
    block.attn.proj_drop.register_forward_hook(lambda module, args, out: 2 * out)


def hook_with_kwargs(block):
    block.mlp.drop.register_forward_pre_hook(
        lambda module, args, kwargs: ((2 * args[0],), kwargs), with_kwargs=True
    )


def old_weight_norm(block):
    torch.manual_seed(3)
    nn.utils.weight_norm(block.mlp.fc1)
    nn.init.normal_(block.mlp.fc1.weight_g)


def parametrized(block):
    nn.utils.parametrizations.weight_norm(block.attn.proj)
    nn.init.ones_(block.attn.proj.parametrizations.weight.original0)


def another_parameter(block):
    block.attn.proj.weight = OtherParameter(block.attn.proj.weight.detach())


CHANGES = (
    *(patch_instance, patch_as_accelerate_does, patch_method, replace_linear, without_dropout),
    *(another_eps, tanh, no_bias, no_affine, hook_of_dropout, hook_with_kwargs, old_weight_norm),
    *(parametrized, another_parameter),
)


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv('TNT_BACKBONE_INNER_BLOCK', raising=False)


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_changed_modules_are_called(change):
    block, plain, words = make('native')
    before = block(words)
    for some in (block, plain):
        torch.manual_seed(2)
        change(some)
    assert not is_fused(block, words)
    assert torch.equal(block(words), plain(words))
    if change not in (without_dropout, another_parameter):
        assert (block(words) - before).abs().max() > 2e-4


def test_equal_epsilons_stay_one_operation():
    block, plain, words = make('native')
    for some in (block, plain):
        both_eps(some)
    assert is_fused(block, words)
    torch.testing.assert_close(block(words), plain(words), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('owner', 'name'),
    [(nn.Linear, 'forward'), (nn.GELU, 'forward'), (nn.Dropout, 'forward'), (F, 'linear')],
    ids=lambda value: getattr(value, '__name__', value),
)
def test_patched_classes_and_functions_are_called(monkeypatch, owner, name):
    block, plain, words = make('native')
    old = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **options: 2 * old(*args, **options))
    assert torch.equal(block(words), plain(words))
    assert not is_fused(block, words)
    monkeypatch.undo()
    assert is_fused(block, words)


def test_hooks_of_all_modules_are_called():
    block, plain, words = make('native')

    def double_dropout(module, args, out):
        return 2 * out if isinstance(module, nn.Dropout) else None

    handle = torch_module.register_module_forward_hook(double_dropout)
    try:
        assert torch.equal(block(words), plain(words))
    finally:
        handle.remove()
    assert is_fused(block, words)


def test_parameters_of_another_place_or_dtype_are_never_read():
    block, _, words = make('native')
    with pytest.raises(RuntimeError, match='meta'):
        block.to('meta')(words)
    block, _, words = make('native')
    with pytest.raises(RuntimeError, match='dtype'):
        block.bfloat16()(words)
    block, _, words = make('native')
    block.attn.num_heads = 3
    block.attn.qkv = nn.Linear(12, 9, bias=False)  # narrower heads: the operation would read on
    block.attn.proj = nn.Linear(3, 12)
    assert block(words).shape == words.shape


def test_weights_of_another_dtype_are_fused_under_autocast():
    block, plain, words = make('native')
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        assert is_fused(block, words.bfloat16())
        found, expected = block(words.bfloat16()), plain(words.bfloat16())
    torch.testing.assert_close(found.float(), expected.float(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize('hooked_first', [True, False])
def test_checkpoint_decides_once(hooked_first):
    block, plain, words = make('native')
    words.requires_grad_()

    def hook():
        return block.mlp.fc1.register_forward_hook(lambda *_: None)

    handle = hook() if hooked_first else None
    out = checkpoint(block, words, use_reentrant=False, context_fn=keep_paths)
    if handle:
        handle.remove()
    else:
        hook()
    loss = out.square().sum()
    [expected] = torch.autograd.grad(plain(words).square().sum(), words)
    for _ in range(2):  # each backward pass computes the block again
        [found] = torch.autograd.grad(loss, words, retain_graph=True)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_gradient_penalty_and_forward_mode_equal_the_modules():
    block, plain, words = make('native')

    def penalty(some):
        x = words.clone().requires_grad_()
        with sdpa_kernel(SDPBackend.MATH):
            [slope] = torch.autograd.grad(some(x).sin().sum(), x, create_graph=True)
            return torch.autograd.grad(slope.square().sum(), [x, *some.parameters()])

    for found, expected in zip(penalty(block), penalty(plain), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.abs().max())
    assert is_fused(block, words)
    with sdpa_kernel(SDPBackend.MATH):
        found, expected = (torch.func.jvp(f, (words,), (words,))[1] for f in (block, plain))
        torch.testing.assert_close(found, expected)
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(words, words)
            tangent = torch.autograd.forward_ad.unpack_dual(block(dual)).tangent
    torch.testing.assert_close(tangent, expected)


def test_a_change_is_said_once(caplog):
    fusable.say_once.cache_clear()
    block, _, words = make('native')
    another_eps(block)
    with caplog.at_level('INFO', 'tnt_backbone'):
        block(words)
        block(words)
    said = [r.message for r in caplog.records if 'norm2.eps' in r.message]
    assert len(said) <= 1
    assert fusable.say_once.cache_info().misses == 1
    assert fusable.say_once.cache_info().hits == 1
