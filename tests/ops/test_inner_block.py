"""The inner block: its reference against torch's own layer, the other paths against that."""

import logging
import platform
from pathlib import Path

import inner_blocks as cases
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tnt_backbone.ops import (
    BACKENDS,
    InnerBlockParams,
    choose_backend,
    chunked,
    inner_block,
    native,
    triton,
)

VARIABLE = 'TNT_BACKBONE_INNER_BLOCK'
LONGER = [(32, 24, 4, True, True), (48, 10, 2, False, True), (64, 40, 4, True, False)]
OPERATOR = torch.ops.tnt_backbone.inner_block.default


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_reference_equals_torchs_encoder_layer():
    words, params, arguments, _ = cases.make((9, 12, 3, False, True))
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation='gelu', batch_first=True, norm_first=True
    )
    own = params._asdict()
    names = {
        'self_attn.in_proj_weight': 'qkv_weight',
        'self_attn.in_proj_bias': 'qkv_bias',
        'self_attn.out_proj': 'proj',
        'linear1': 'fc1',
        'linear2': 'fc2',
    }
    state = {}
    for name in theirs.state_dict():
        layer, _, kind = name.rpartition('.')
        state[name] = own[names.get(name) or f'{names.get(layer, layer)}_{kind}']
    theirs.load_state_dict(state)
    torch.testing.assert_close(inner_block(words, params, **arguments), theirs(words))


def test_norms_take_the_words_of_a_sentence_together():
    """With all weights of the branches zero but one bias, the output is the words and it."""
    words, params, arguments, _ = cases.make((4, 6, 2, True, False))
    normed = F.layer_norm(words, (4, 6), params.norm1_weight, params.norm1_bias)
    value = normed @ params.qkv_weight[12:].T
    silent = params._replace(
        qkv_weight=torch.cat((torch.zeros(12, 6), params.qkv_weight[12:])),
        fc2_weight=torch.zeros(6, 24),
        fc2_bias=torch.zeros(6),
    )
    mixed = value.mean(1, keepdim=True).expand_as(words)  # all weights alike
    expected = words + mixed @ params.proj_weight.T + params.proj_bias
    for backend in ('reference', 'chunked'):
        found = inner_block(words, silent, backend=backend, **arguments)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('shape', [(3, 4, 2, False, True), (2, 4, 1, True, False)], ids=str)
@pytest.mark.parametrize('backend', ['reference', 'chunked'])
def test_gradients_are_those_of_finite_differences(shape, backend):
    words, params, arguments, _ = cases.make(shape, 2, drop_path=True, dtype=torch.float64)

    def function(words, *given):
        return inner_block(words, InnerBlockParams(*given), backend=backend, **arguments)

    given = [p for p in params if p is not None]
    assert torch.autograd.gradcheck(function, (words, *given), fast_mode=True)


@pytest.mark.parametrize('shape', cases.SHAPES, ids=str)
@pytest.mark.parametrize('drop_path', [False, True])
def test_cpu_path_equals_the_reference(monkeypatch, shape, drop_path):
    monkeypatch.setattr(chunked, 'CHUNK_WORDS', 2 * shape[0])  # three chunks, the last one smaller
    given = cases.make(shape, drop_path=drop_path, dtype=torch.float64)
    expected, found = cases.run(*given, 'reference'), cases.run(*given, 'chunked')
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('shape', [*cases.VARIANTS, *LONGER], ids=str)
@pytest.mark.parametrize('drop_path', [False, True])
def test_native_path_is_as_exact_as_the_plain_one(shape, drop_path):
    given = cases.make(shape, 43, drop_path=drop_path)  # tiles for two threads, the last not full
    exact = cases.run(*cases.cast(*given, torch.float64), 'reference')
    errors = [cases.errors(cases.run(*given, path), exact) for path in ('native', 'reference')]
    for error, plain_error in zip(*errors, strict=True):
        assert error < 2 * plain_error + 1e-6  # biases are summed in another order


@pytest.mark.skipif(platform.machine() not in ('x86_64', 'AMD64'), reason='flags of x86')
@pytest.mark.parametrize('narrower', ['-mno-avx512f', '-mno-avx'])
def test_native_path_is_as_exact_with_narrower_vectors(monkeypatch, tmp_path, narrower):
    monkeypatch.setenv('CXX', f'c++ {narrower}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    native._load.cache_clear()
    try:
        for shape in ((16, 10, 2, True, True), (48, 24, 4, False, False), (64, 5, 1, True, False)):
            test_native_path_is_as_exact_as_the_plain_one(shape, True)
    finally:
        native._load.cache_clear()
    assert len(list(tmp_path.rglob('*.so'))) == 1


@pytest.mark.parametrize('scale', [1e-3, 30.0, 1e4])
def test_native_path_takes_words_and_weights_of_any_size(scale):
    words, params, arguments, grad = cases.make((16, 24, 4, False, True), 8)
    params = params._replace(qkv_weight=(params.qkv_weight * scale).detach().requires_grad_())
    given = (words * scale).detach().requires_grad_(), params, arguments, grad
    exact = cases.run(*cases.cast(*given, torch.float64), 'reference')
    errors = [cases.errors(cases.run(*given, path), exact) for path in ('native', 'reference')]
    for error, plain_error in zip(*errors, strict=True):
        assert error < 2 * plain_error + 1e-6


def test_native_path_keeps_sentences_apart():
    words, params, arguments, _ = cases.make((16, 12, 2, True, False), 9)
    expected = inner_block(words, params, backend='native', **arguments)
    broken = words.detach().clone()
    broken[4, 3, 2] = float('nan')
    found = inner_block(broken, params, backend='native', **arguments)
    assert found[4].isnan().all()
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    torch.testing.assert_close(found[others], expected[others], rtol=0, atol=0)


def test_native_path_gives_the_same_with_any_number_of_threads():
    given, threads = cases.make((16, 24, 4, False, False), 43), torch.get_num_threads()
    results = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(cases.run(*given, 'native'))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(*results)


@pytest.mark.parametrize('compiler', ['no-such-compiler', 'false'])
def test_without_a_compiler_a_cpu_takes_the_next_path(monkeypatch, tmp_path, compiler):
    monkeypatch.setenv('CXX', compiler)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    native._load.cache_clear()
    said = []
    monkeypatch.setattr(native, 'log', lambda message, level=0: said.append((level, message)))
    words, params, arguments, _ = cases.make((16, 6, 2, False, False))
    try:
        for _ in range(2):
            assert choose_backend(words, params) == 'chunked'
        [warning] = [message for level, message in said if level == logging.WARNING]
        assert compiler in warning
        assert "inner_backend='chunked'" in warning
        with pytest.raises(ValueError, match=f"'native'.*{compiler}"):
            inner_block(words, params, backend='native', **arguments)
    finally:
        native._load.cache_clear()
    assert not list(tmp_path.rglob('*.so'))


@pytest.mark.parametrize('backend', ['chunked', 'native'])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_error_of_low_precision_is_at_most_twice_that_of_the_plain_path(dtype, backend):
    given = cases.make((16, 24, 4, False, False), 64, drop_path=True)
    low = cases.cast(*given, dtype)
    exact = cases.run(*given, 'reference')
    fused, plain = cases.run(*low, backend), cases.run(*low, 'reference')
    assert [t.dtype for t in fused] == [dtype] * len(fused)
    for error, plain_error in zip(
        cases.errors(fused, exact), cases.errors(plain, exact), strict=True
    ):
        assert 0 < error < 2 * plain_error


@pytest.mark.parametrize('backend', ['chunked', 'native'])
def test_autocast_keeps_the_dtype_of_the_words(backend):
    given = cases.make((16, 24, 4, False, False), 64)
    exact = cases.run(*given, 'reference')
    with torch.autocast('cpu', torch.bfloat16):
        fused, plain = cases.run(*given, backend), cases.run(*given, 'reference')
    assert [t.dtype for t in fused] == [t.dtype for t in plain] == [torch.float32] * len(plain)
    for error, plain_error in zip(
        cases.errors(fused, exact), cases.errors(plain, exact), strict=True
    ):
        assert error < 2 * plain_error


@pytest.mark.parametrize(('backend', 'length'), [('chunked', 9), ('native', 16)])
def test_any_strides_and_no_sentence(backend, length):
    words, params, arguments, grad = cases.make((length, 12, 2, False, False))
    turned = words.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    one = grad[:1].expand_as(grad)
    expected = cases.run(words, params, arguments, one, 'reference')
    torch.testing.assert_close(cases.run(turned, params, arguments, one, backend), expected)
    empty = cases.run(words[:0], params, arguments, grad[:0], backend)
    assert empty[0].shape == (0, length, 12)
    assert all((g == 0).all() for g in empty[1:])


@pytest.mark.parametrize(
    ('backend', 'shape'),
    [
        ('chunked', (4, 6, 2, False, True)),
        ('chunked', (4, 6, 2, True, False)),
        ('native', (16, 6, 2, True, True)),
    ],
    ids=str,
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_operator_keeps_torchs_rules(backend, shape, dtype):
    words, params, arguments, _ = cases.cast(*cases.make(shape, drop_path=True), dtype)
    given = [p for p in params if p is not None]
    torch.library.opcheck(
        OPERATOR, (words, given, arguments['scales'], 2, 1e-5, torch.float32, backend)
    )


@pytest.mark.parametrize('backend', ['chunked', 'native'])
def test_keeps_nothing_but_the_words_for_the_backward_pass(backend):
    words, params, arguments, _ = cases.make((16, 24, 4, False, False))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        inner_block(words, params, backend=backend, **arguments)
    inputs = {words.data_ptr(), *(p.data_ptr() for p in params if p is not None)}
    assert {t.data_ptr() for t in kept} <= inputs


@pytest.mark.parametrize('shape', [(4, 24, 4, True, True), (16, 24, 4, False, False)], ids=str)
def test_flops_are_counted_like_the_plain_path(shape):
    """Torch's counter misses its fused attention on a CPU: it is made of plain products here."""
    *given, grad = cases.make(shape)
    counts = []
    for backend in ('reference', 'chunked', *(['native'] if shape[0] == 16 else [])):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            inner_block(given[0], given[1], backend=backend, **given[2]).backward(grad)
        counts.append(counter.get_total_flops())
    assert len(set(counts)) == 1


def test_a_cpu_takes_its_own_path_unless_told_otherwise(monkeypatch):
    words, params, _, _ = cases.make((16, 6, 2, False, False))
    assert choose_backend(words, params) == 'native'
    assert choose_backend(words[:, :9], params) == 'chunked', 'no whole vectors of words'
    assert choose_backend(words.double(), params) == 'chunked'
    monkeypatch.setenv(VARIABLE, 'reference')
    assert choose_backend(words, params) == 'reference'
    assert choose_backend(words, params, 'chunked') == 'chunked', 'the argument wins'
    monkeypatch.setenv(VARIABLE, '')
    assert choose_backend(words, params) == 'native'
    assert choose_backend(words.to('meta'), params) == 'reference'


def test_unknown_paths_are_refused(monkeypatch):
    words, params, arguments, _ = cases.make((4, 6, 2, False, False))
    with pytest.raises(ValueError, match=f"inner_backend='gpu'.*{BACKENDS[-1]}"):
        inner_block(words, params, backend='gpu', **arguments)
    monkeypatch.setenv(VARIABLE, 'fast')
    with pytest.raises(ValueError, match=f"{VARIABLE}='fast'.*{BACKENDS[-1]}"):
        inner_block(words, params, **arguments)


def test_paths_that_cannot_run_are_refused(monkeypatch):
    words, params, arguments, _ = cases.make((4, 6, 2, False, False))
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    with pytest.raises(ValueError, match=r"'triton'.*'cpu'.*\('reference', 'chunked'\)"):
        inner_block(words, params, backend='triton', **arguments)
    with pytest.raises(ValueError, match=r"'native'.*\b4 .*\b16, 32, 48.* 64\b"):
        inner_block(words, params, backend='native', **arguments)
    monkeypatch.setenv(VARIABLE, 'chunked')
    with pytest.raises(ValueError, match=f"{VARIABLE}='chunked'.*'meta'"):
        inner_block(words.to('meta'), params, **arguments)


def test_triton_without_a_c_compiler_is_refused(monkeypatch):
    """A GPU machine without one runs the plain backend instead of failing in the first step."""
    words, params, arguments, _ = cases.make((4, 6, 2, False, False), dtype=torch.float32)
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    monkeypatch.setattr(triton, '_has_compiler', lambda: False)
    with pytest.raises(ValueError, match=r"'triton'.*apt install gcc"):
        inner_block(words, params, backend='triton', **arguments)
    monkeypatch.undo()
    monkeypatch.delenv('CC', raising=False)
    monkeypatch.setenv('PATH', '')
    triton._has_compiler.cache_clear()
    assert not triton._has_compiler()
    triton._has_compiler.cache_clear()


def test_the_old_name_of_a_backend(monkeypatch):
    words, params, _, _ = cases.make((4, 6, 2, False, False))
    assert choose_backend(words, params, 'cpu') == 'chunked'
    monkeypatch.setenv(VARIABLE, 'cpu')
    assert choose_backend(words, params) == 'chunked'


def test_works_without_triton(run_in_a_fork):
    """The package is imported and its default runs; Triton's path is refused."""
    code = """
import sys
sys.modules['triton'] = None
import pytest
sys.path.insert(0, '')
import inner_blocks as cases
from tnt_backbone import ops
given = cases.make((4, 6, 2, False, False))
cases.run(*given, None)
with pytest.raises(ValueError, match='pip install triton'):
    cases.run(*given, 'triton')
"""
    done = run_in_a_fork(code, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ('shape', 'dtype', 'reason'),
    [
        ((65, 6, 2, False, False), torch.float32, r'\b65\b.*\b6\b.*\b64\b.*\b64\b'),
        ((4, 66, 2, False, False), torch.float32, r'\b4\b.*\b66\b.*\b64\b.*\b64\b'),
        ((4, 6, 2, False, False), torch.float64, r'torch\.float64.*torch\.float32'),
    ],
    ids=str,
)
def test_kernels_refuse_what_they_cannot_compute(monkeypatch, shape, dtype, reason):
    pytest.importorskip('triton')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    words, params, arguments, _ = cases.make(shape, dtype=dtype)
    with pytest.raises(ValueError, match=reason):
        inner_block(words, params, backend='triton', **arguments)
