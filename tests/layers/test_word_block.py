"""The inner block with its modules: one operation gives what they give."""

import copy
from unittest import mock

import pytest
import torch
from torch import nn
from torch._dynamo.backends.debugging import aot_eager
from torch.nn.attention import SDPBackend, sdpa_kernel

from tnt_backbone.layers import TransformerBlock, WordBlock
from tnt_backbone.ops import chunked, native

FUSED = {'chunked': chunked, 'native': native}
BACKENDS = ['reference', *FUSED]
OPTIONS = {
    'TNT': {},
    'biases': {'qkv_bias': True},
    'PyramidTNT': {'norm_shape': [16, 12]},
    'drop path': {'drop_path': 0.4},
    'dropout': {'drop_rate': 0.3, 'drop_path': 0.4},
    'dropout of attention': {'attn_drop_rate': 0.3},
}


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv('TNT_BACKBONE_INNER_BLOCK', raising=False)


def make(backend='chunked', **options):
    """A block with its twin of plain modules, and words."""
    torch.manual_seed(0)
    block, plain = WordBlock(12, 3, backend=backend, **options), TransformerBlock(12, 3, **options)
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    plain.load_state_dict(block.state_dict())
    return block, plain, torch.randn(64, 16, 12)


def step(block, words):
    """Return the output and all gradients, with the same random numbers each time."""
    torch.manual_seed(1)
    words = words.clone().requires_grad_()
    out = block(words)
    return [out, *torch.autograd.grad(out.square().sum(), [words, *block.parameters()])]


def is_fused(block, words):
    path = FUSED[block.backend]
    with mock.patch.object(path, 'forward', wraps=path.forward) as operation:
        block(words)
    return operation.called


@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('training', [True, False])
def test_equals_the_modules_under_the_same_seed(options, backend, training):
    block, plain, words = make(backend, **options)
    expected = step(plain.train(training), words)
    found = step(block.train(training), words)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('backend', FUSED)
@pytest.mark.parametrize('kind', ['TNT', 'biases', 'PyramidTNT', 'drop path'])
def test_whatever_has_no_dropout_is_one_operation(kind, backend):
    block, _, words = make(backend, **OPTIONS[kind])
    assert is_fused(block, words)


def test_is_one_operation_but_for_dropout():
    block, _, words = make(drop_path=0.4)
    assert is_fused(block, words)
    block, _, words = make(drop_rate=0.1)
    assert not is_fused(block, words)
    assert is_fused(block.eval(), words)
    block.mlp.drop.train()  # as Monte Carlo dropout does
    assert not is_fused(block, words)


def test_modules_that_are_watched_are_called():
    block, plain, words = make()
    seen = []
    handle = block.mlp.fc1.register_forward_hook(lambda *args: seen.append(args[-1].shape))
    torch.testing.assert_close(block(words), plain(words), rtol=1e-4, atol=1e-4)
    assert seen == [(64, 16, 48)]
    handle.remove()
    assert is_fused(block, words)


def test_modules_that_were_replaced_are_called():
    class Doubled(nn.Linear):
        def forward(self, tokens):
            return 2 * super().forward(tokens)

    block, plain, words = make()
    for some in (block, plain):
        doubled = Doubled(12, 12)
        doubled.load_state_dict(plain.attn.proj.state_dict())
        some.attn.proj = doubled
    torch.testing.assert_close(block(words), plain(words))
    for some in (block, plain):
        some.attn.proj = nn.utils.parametrizations.weight_norm(nn.Linear(12, 12))
    plain.load_state_dict(block.state_dict())
    torch.testing.assert_close(block(words), plain(words))


def test_copies_and_keeps_the_names_of_the_weights():
    block, plain, words = make()
    assert list(block.state_dict()) == list(plain.state_dict())
    twin = copy.deepcopy(block)
    assert torch.equal(twin(words), block(words))
    assert twin.backend == 'chunked'


@pytest.mark.parametrize('drop_path', [0.0, pytest.param(0.4, marks=pytest.mark.slow)])
@pytest.mark.parametrize('backend', [None, *FUSED])
def test_is_compiled_into_one_graph(backend, drop_path):
    block, _, words = make(backend, drop_path=drop_path)
    graphs = []

    def keep(graph, inputs):
        graphs.append([node.target for node in graph.graph.nodes])
        return aot_eager(graph, inputs)

    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True, backend=keep)
    torch.testing.assert_close(step(compiled, words), step(block, words))
    [targets] = graphs
    assert sum('tnt_backbone' in str(target) for target in targets) == 1


@pytest.mark.parametrize('strict', [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize('backend', [None, *BACKENDS])
def test_is_exported_plain_unless_told_otherwise(backend, strict):
    block, _, words = make(backend)
    number = torch.export.Dim('number', min=2, max=512)
    program = torch.export.export(
        block.eval(), (words,), dynamic_shapes=({0: number},), strict=strict
    )
    targets = {str(node.target) for node in program.graph.nodes}
    assert any('tnt_backbone' in target for target in targets) == (backend in FUSED)
    torch.testing.assert_close(program.module()(words[:7]), block(words[:7]), rtol=1e-4, atol=1e-4)


def test_works_within_torch_func():
    block, plain, words = make(None)
    params = dict(block.named_parameters())

    def loss(params, words):
        return torch.func.functional_call(block, params, (words,)).square().sum()

    with sdpa_kernel(SDPBackend.MATH):  # torch's fused attention has no batching rule
        gradients = torch.func.vmap(torch.func.grad(loss), (None, 0))
        each = gradients(params, words.unflatten(0, (2, 32)))
    loss_of_all = plain(words).square().sum()
    expected = torch.autograd.grad(loss_of_all, list(plain.parameters()))
    for name, gradient in zip(params, expected, strict=True):
        torch.testing.assert_close(each[name].sum(0), gradient, rtol=1e-4, atol=1e-3)


def test_unknown_path_is_refused_when_it_is_built():
    with pytest.raises(ValueError, match=r"inner_backend='gpu'.*'reference'"):
        WordBlock(12, 3, backend='gpu')
