"""The inner block as one operation, by the path that suits the tensors.

A sentence is a tile of work of its own: norm, queries, keys and values, attention among its words,
projection, MLP and both residuals touch no other sentence. The fused paths read the words once,
write them once, and keep nothing else for the backward pass, which computes the rest again, as
FlashAttention does (https://arxiv.org/abs/2205.14135).

==========  ====================  ===============================================================
backend     tensors               memory
==========  ====================  ===============================================================
reference   any                   what autograd keeps: about 25 times the words
native      on a CPU, fp32, with  the words
            a C++ compiler
chunked     on a CPU              the words, and a chunk's intermediate results
triton      on a GPU              the words
==========  ====================  ===============================================================

Each lies in a file of its name, which says what it cannot do (``why_not``).

All but the first are registered as one operator, ``tnt_backbone::inner_block``, which
``torch.compile`` and ``torch.export`` take into their graph as it is. It has derivatives in reverse
mode; second ones (a gradient penalty) are computed by the plain path.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import register_flop_formula

from ..errors import InputError
from . import chunked, native, reference, triton
from .attend import is_batched, transforms_are_active
from .constant import is_exporting
from .reference import InnerBlockParams

VARIABLE = 'TNT_BACKBONE_INNER_BLOCK'
FUSED: dict[str, Any] = {'native': native, 'chunked': chunked, 'triton': triton}
BACKENDS = ('reference', *FUSED)
OLD_NAMES = {'cpu': 'chunked'}  # of 0.1.0
# What is chosen where nobody chooses: the first that can run. The Triton kernels were not tried on
# AMD's GPUs.
DEFAULTS = {'cpu': ('native', 'chunked'), 'cuda': () if torch.version.hip else ('triton',)}


def inner_block(
    words: Tensor,
    params: InnerBlockParams,
    *,
    num_heads: int,
    eps: float = 1e-5,
    scales: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Attention among the words of each sentence, then an MLP: ``(S, M, c) -> (S, M, c)``.

    Under autocast the products are computed in autocast's dtype (on a CPU: in fp32), and the
    residuals in that of the words. There is no dropout; its place is the plain modules.

    Args:
        words: ``M`` words of ``c`` channels in each of ``S`` sentences.
        params: See there.
        num_heads: Attention heads; must divide ``c``.
        eps: Of both norms.
        scales: ``(2, S)``, by what the attention branch and the MLP branch of a sentence are
            multiplied before they are added to the words (stochastic depth: 0 or ``1 / keep``).
            They get no gradient from the fused paths.
        backend: See :func:`choose_backend`.

    Raises:
        ValueError: If the path that is asked for is unknown or cannot run.
    """
    backend = choose_backend(words, params, backend)
    if backend == 'reference':
        return reference.forward(words, params, scales, num_heads=num_heads, eps=eps)
    given = [p for p in params if p is not None]
    return _fused(words, given, scales, num_heads, eps, _product_dtype(words, backend), backend)


def choose_backend(words: Tensor, params: InnerBlockParams, backend: str | None = None) -> str:
    """Name the path that :func:`inner_block` takes.

    Args:
        words: See there.
        params: See there.
        backend: One of ``BACKENDS``. By default what the environment variable
            ``TNT_BACKBONE_INNER_BLOCK`` says, or else the quickest that was measured for the
            device; the plain one for what is exported or traced, so that it runs without this
            package, within ``torch.func``, and for tensors of other classes (quantised or
            distributed ones).

    Raises:
        ValueError: If the path that is asked for is unknown or cannot run.
    """
    asked = check_backend(backend)
    if asked is None:
        given = (words, *(p for p in params if p is not None))
        plain = (
            is_exporting()
            or torch.jit.is_tracing()
            or transforms_are_active()
            or any(type(tensor) not in (Tensor, Parameter) for tensor in given)
        )
        wanted = () if plain else DEFAULTS.get(words.device.type, ())
        return next((path for path in wanted if not _why_not(path, words)), 'reference')
    reason = _why_not(asked, words)
    if reason:
        able = tuple(path for path in BACKENDS if not _why_not(path, words))
        raise InputError(
            f'{_origin(backend)}{asked!r} cannot run: {reason}. Choose one of {able} here, or '
            'leave the choice to the device'
        )
    return asked


def check_backend(backend: str | None) -> str | None:
    """Return the path that is asked for, by the argument or the environment variable, if any.

    Raises:
        ValueError: If it is unknown.
    """
    asked = backend or os.environ.get(VARIABLE) or None
    asked = OLD_NAMES.get(asked or '', asked)
    if asked is not None and asked not in BACKENDS:
        raise InputError(f'{_origin(backend)}{asked!r} is not known: choose one of {BACKENDS}')
    return asked


def _origin(backend: str | None) -> str:
    return 'inner_backend=' if backend else f'{VARIABLE}='


def _why_not(backend: str, words: Tensor) -> str | None:
    """Return why a backend cannot run."""
    return FUSED[backend].why_not(words) if backend in FUSED else None


def _product_dtype(words: Tensor, backend: str) -> torch.dtype:
    """The dtype of the factors of matrix products; sums and norms are in fp32 at least."""
    device = words.device.type
    if backend in ('chunked', 'native'):
        return torch.promote_types(words.dtype, torch.float32)
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else words.dtype


@torch.library.custom_op('tnt_backbone::inner_block', mutates_args=())
def _fused(
    words: Tensor,
    params: list[Tensor],
    scales: Tensor | None,
    num_heads: int,
    eps: float,
    dtype: torch.dtype,
    backend: str,
) -> Tensor:
    with torch.autocast(words.device.type, enabled=False):
        return FUSED[backend].forward(
            words, InnerBlockParams(*params), scales, num_heads=num_heads, eps=eps, dtype=dtype
        )


@torch.library.custom_op('tnt_backbone::inner_block_backward', mutates_args=())
def _fused_backward(
    grad: Tensor,
    words: Tensor,
    params: list[Tensor],
    scales: Tensor | None,
    num_heads: int,
    eps: float,
    dtype: torch.dtype,
    backend: str,
) -> list[Tensor]:
    """Return the gradients of the words and of each parameter."""
    with torch.autocast(words.device.type, enabled=False):
        return FUSED[backend].backward(
            grad,
            words,
            InnerBlockParams(*params),
            scales,
            num_heads=num_heads,
            eps=eps,
            dtype=dtype,
        )


@_fused.register_fake
def _(words: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(words, memory_format=torch.contiguous_format)


@_fused_backward.register_fake
def _(grad: Tensor, words: Tensor, params: list[Tensor], *_: Any) -> list[Tensor]:
    return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (words, *params)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    words, params, scales, *ctx.rest = inputs
    ctx.save_for_backward(words, scales, *params)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    words, scales, *params = ctx.saved_tensors
    if is_batched(grad):  # the operator has no rule for vmap over a backward pass
        num_heads, eps, *_ = ctx.rest
        grad_words, *grad_params = _plain_gradients(
            grad, [words, *params], scales, num_heads, eps, again=torch.is_grad_enabled()
        )
    else:
        grad_words, *grad_params = _fused_backward(grad, words, params, scales, *ctx.rest)
    return grad_words, grad_params, *(None,) * 5


_fused.register_autograd(_differentiate, setup_context=_save)


def _save_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    grad, words, params, scales, ctx.num_heads, ctx.eps, *_ = inputs
    ctx.save_for_backward(grad, words, scales, *params)


def _differentiate_twice(ctx: Any, slopes: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """Return the gradients of gradients, by the plain path."""
    grad, words, scales, *params = ctx.saved_tensors
    again = torch.is_grad_enabled()
    grad, *inputs = _inputs([grad, words, *params])
    found = _plain_gradients(grad, inputs, scales, ctx.num_heads, ctx.eps, again=True)
    asked = [
        (f, s.to(f.dtype))
        for f, s in zip(found, slopes, strict=True)
        if f is not None and s is not None
    ]
    grad_grad, grad_words, *grad_params = torch.autograd.grad(
        [f for f, _ in asked],
        [grad, *inputs],
        [s for _, s in asked],
        create_graph=again,
        allow_unused=True,
    )
    return grad_grad, grad_words, grad_params, *(None,) * 5


def _inputs(saved: Sequence[Tensor]) -> list[Tensor]:
    """Return saved tensors that have gradients; leaves, if gradients have no graph."""
    tensors = [tensor if torch.is_grad_enabled() else tensor.detach() for tensor in saved]
    return [t if t.requires_grad else t.requires_grad_() for t in tensors]


def _plain_gradients(
    grad: Tensor,
    inputs: Sequence[Tensor],
    scales: Tensor | None,
    num_heads: int,
    eps: float,
    *,
    again: bool,
) -> list[Tensor | None]:
    """Return the gradients of those inputs that ask for one, by the plain path.

    Args:
        grad: Gradient of the output.
        inputs: Words and parameters.
        scales: See ``inner_block``.
        num_heads: See ``inner_block``.
        eps: See ``inner_block``.
        again: Whether the gradients have a graph.
    """
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        words, *params = inputs
        dtype = functools.reduce(torch.promote_types, (t.dtype for t in (grad, *inputs)))
        plain = InnerBlockParams(*(p.to(dtype) for p in params))
        with torch.autocast(words.device.type, enabled=False):
            out = reference.forward(words.to(dtype), plain, scales, num_heads=num_heads, eps=eps)
        asked = [tensor for tensor in inputs if tensor.requires_grad]
        found = iter(torch.autograd.grad(out, asked, grad.to(dtype), create_graph=again))
        return [next(found) if tensor.requires_grad else None for tensor in inputs]


_fused_backward.register_autograd(_differentiate_twice, setup_context=_save_backward)


def _count(words: Any, params: list[Any], scales: Any, num_heads: int, *_: Any, **__: Any) -> int:
    """FLOPs of the matrix products, as PyTorch's counter counts those of the plain path."""
    sentences, length, dims = words
    products = 4 * dims**2 + 2 * dims * params[7][0] + 2 * length * dims  # of a word
    return 2 * sentences * length * products


def _count_backward(grad: Any, *inputs: Any, **__: Any) -> int:
    """Each product has two gradients; the forward pass, which is repeated, is not counted."""
    return 2 * _count(*inputs)


register_flop_formula(torch.ops.tnt_backbone.inner_block)(_count)
register_flop_formula(torch.ops.tnt_backbone.inner_block_backward)(_count_backward)
