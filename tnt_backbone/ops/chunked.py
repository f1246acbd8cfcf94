"""The inner block on a CPU, a few sentences at a time, with nothing kept for the backward pass.

The intermediate results of a chunk stay in the cache. Those of all sentences are 25 times the size
of the words, and the plain path spends much of its time on reading and writing them. The backward
pass computes those of a chunk again, so a training step keeps only the words.

Within a sentence the words are the last axis of queries, keys and values, ``(S * heads, c/heads,
M)``: BLAS is 3 to 5 times quicker at such small matrices when the 4 to 10 channels of a head are
not the last axis, and the softmax is quicker over a middle axis. All arithmetic is in fp32 at
least: the products are too small for bf16 to be quicker.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .reference import InnerBlockParams

aten = torch.ops.aten

# Words of a chunk and thread. 4096 words of 24 channels are 0.4 MiB, their MLP's hidden layer 1.5.
CHUNK_WORDS = 4096
MAX_THREADS = 16  # beyond, chunks would grow without need


def why_not(words: Tensor) -> str | None:
    """Return why this backend cannot run on such words."""
    return None if words.device.type == 'cpu' else f'the words are on {words.device.type!r}'


class _Heads(NamedTuple):
    query: Tensor  # (S*heads, c/heads, M), already scaled
    key: Tensor
    value: Tensor
    weights: Tensor  # (S*heads, M keys, M queries)


def forward(
    words: Tensor,
    params: InnerBlockParams,
    scales: Tensor | None,
    *,
    num_heads: int,
    eps: float,
    dtype: torch.dtype,
) -> Tensor:
    """Return the new words; see ``inner_block``."""
    params = _prepare(params, num_heads, dtype)
    out = torch.empty_like(words, memory_format=torch.contiguous_format)
    for chunk in _chunks(words):
        x, (scale1, scale2) = words[chunk].to(dtype), _scales(scales, chunk, dtype)
        normed = F.layer_norm(x, params.norm1_weight.shape, *params[:2], eps)
        heads = _attend(normed, params, num_heads)
        x = _scale_(_project(_mix(heads, x.shape), params), scale1).add_(x)
        normed = F.layer_norm(x, params.norm2_weight.shape, *params[5:7], eps)
        hidden = torch.addmm(params.fc1_bias, normed.flatten(0, 1), params.fc1_weight.T)
        hidden = aten.gelu_(hidden)
        update = torch.addmm(params.fc2_bias, hidden, params.fc2_weight.T).view_as(x)
        out[chunk] = _scale_(update, scale2).add_(x)
    return out


def backward(
    grad: Tensor,
    words: Tensor,
    params: InnerBlockParams,
    scales: Tensor | None,
    *,
    num_heads: int,
    eps: float,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Return the gradients of the words and of each parameter, in their order."""
    given, params = params, _prepare(params, num_heads, dtype)
    grads = InnerBlockParams._make(None if p is None else p.new_zeros(p.shape) for p in params)
    grad_words = torch.empty_like(words, memory_format=torch.contiguous_format)
    dims, shape1, shape2 = words.shape[2], params.norm1_weight.shape, params.norm2_weight.shape
    for chunk in _chunks(words):
        x, dy = words[chunk].to(dtype), grad[chunk].to(dtype)
        scale1, scale2 = _scales(scales, chunk, dtype)
        normed1, mean1, rstd1 = torch.native_layer_norm(x, shape1, *params[:2], eps)
        heads = _attend(normed1, params, num_heads)
        mixed = _mix(heads, x.shape)
        y = _scale_(_project(mixed, params), scale1).add_(x)
        normed2, mean2, rstd2 = torch.native_layer_norm(y, shape2, *params[5:7], eps)
        normed2 = normed2.flatten(0, 1)
        before = torch.addmm(params.fc1_bias, normed2, params.fc1_weight.T)  # (S*M, f)

        # The MLP and its residual.
        dz = (dy if scale2 is None else dy * scale2).flatten(0, 1)  # (S*M, c)
        grads.fc2_weight.addmm_(dz.T, F.gelu(before))
        grads.fc2_bias.add_(dz.sum(0))
        dh = aten.gelu_backward(torch.mm(dz, params.fc2_weight), before)
        grads.fc1_weight.addmm_(dh.T, normed2)
        grads.fc1_bias.add_(dh.sum(0))
        dn = torch.mm(dh, params.fc1_weight).view_as(x)
        dx, dweight, dbias = aten.native_layer_norm_backward(
            dn, y, shape2, mean2, rstd2, *params[5:7], [True] * 3
        )
        grads.norm2_weight.add_(dweight)
        grads.norm2_bias.add_(dbias)
        dy = dx.add_(dy)

        # Attention and its residual.
        dz = dy if scale1 is None else dy * scale1
        grads.proj_weight.addmm_(dz.flatten(0, 1).T, mixed.transpose(1, 2).reshape(-1, dims))
        grads.proj_bias.add_(dz.sum((0, 1)))
        dqkv = _attend_backward(heads, _times_words(params.proj_weight.T, dz, num_heads), x.shape)
        grads.qkv_weight.addmm_(dqkv.T, normed1.flatten(0, 1))
        if grads.qkv_bias is not None:
            grads.qkv_bias.add_(dqkv.sum(0))
        dn = torch.mm(dqkv, params.qkv_weight).view_as(x)
        dx, dweight, dbias = aten.native_layer_norm_backward(
            dn, x, shape1, mean1, rstd1, *params[:2], [True] * 3
        )
        grads.norm1_weight.add_(dweight)
        grads.norm1_bias.add_(dbias)
        grad_words[chunk] = dx.add_(dy)
    _scale_queries(grads, num_heads)
    found = zip(
        (g for g in grads if g is not None), (p for p in given if p is not None), strict=True
    )
    return [grad_words, *(gradient.to(p.dtype) for gradient, p in found)]


def _prepare(params: InnerBlockParams, num_heads: int, dtype: torch.dtype) -> InnerBlockParams:
    """Convert the parameters, and scale the queries through their weight, once."""
    converted = InnerBlockParams._make(None if p is None else p.to(dtype) for p in params)
    qkv_bias = None if converted.qkv_bias is None else converted.qkv_bias.clone()
    converted = converted._replace(qkv_weight=converted.qkv_weight.clone(), qkv_bias=qkv_bias)
    _scale_queries(converted, num_heads)
    return converted


def _scale_queries(params: InnerBlockParams, num_heads: int) -> None:
    """Scale those rows of weight and bias, in place, by what attention divides by."""
    dims = params.proj_weight.shape[0]
    for tensor in (params.qkv_weight, params.qkv_bias):
        if tensor is not None:
            tensor[:dims] *= (dims // num_heads) ** -0.5


def _chunks(words: Tensor) -> list[slice]:
    size = CHUNK_WORDS * min(torch.get_num_threads(), MAX_THREADS) // words.shape[1]
    size = max(size, 1)
    return [slice(start, start + size) for start in range(0, len(words), size)]


def _scales(scales: Tensor | None, chunk: slice, dtype: torch.dtype) -> Any:
    """Return the scales of attention and MLP, each ``(s, 1, 1)`` or nothing."""
    return (None, None) if scales is None else scales[:, chunk, None, None].to(dtype).unbind()


def _scale_(update: Tensor, scale: Tensor | None) -> Tensor:
    """Scale in place."""
    return update if scale is None else update.mul_(scale)


def _times_words(weight: Tensor, words: Tensor, num_heads: int) -> Tensor:
    """``(c, c), (S, M, c) -> (S*heads, c/heads, M)``."""
    product = torch.bmm(weight.expand(len(words), -1, -1), words.transpose(1, 2))  # (S, c, M)
    return product.view(len(words) * num_heads, -1, words.shape[1])


def _attend(normed: Tensor, params: InnerBlockParams, num_heads: int) -> _Heads:
    weights = params.qkv_weight.chunk(3)
    query, key, value = (_times_words(weight, normed, num_heads) for weight in weights)
    if params.qkv_bias is not None:
        for heads, bias in zip((query, key, value), params.qkv_bias.chunk(3), strict=True):
            heads.view(len(normed), *bias.shape, -1).add_(bias[:, None])
    return _Heads(query, key, value, torch.bmm(key.transpose(1, 2), query).softmax(1))


def _mix(heads: _Heads, shape: torch.Size) -> Tensor:
    """Return the values mixed, ``(S, c, M)``."""
    return torch.bmm(heads.value, heads.weights).view(shape[0], shape[2], shape[1])


def _project(mixed: Tensor, params: InnerBlockParams) -> Tensor:
    """``(S, c, M) -> (S, M, c)``."""
    weight = params.proj_weight.T.expand(len(mixed), -1, -1)
    return torch.bmm(mixed.transpose(1, 2), weight).add_(params.proj_bias)


def _attend_backward(heads: _Heads, dmixed: Tensor, shape: torch.Size) -> Tensor:
    """Return the gradient of queries, keys and values, ``(S*M, 3c)``."""
    query, key, value, weights = heads
    dweights = torch.bmm(value.transpose(1, 2), dmixed)
    dlogits = aten._softmax_backward_data(dweights, weights, 1, weights.dtype)
    dqkv = (
        torch.bmm(key, dlogits),
        torch.bmm(query, dlogits.transpose(1, 2)),
        torch.bmm(dmixed, weights.transpose(1, 2)),
    )
    sentences, length, dims = shape
    together = weights.new_empty(sentences, length, 3, dims)
    for i, gradient in enumerate(dqkv):
        together[:, :, i] = gradient.view(sentences, dims, length).transpose(1, 2)
    return together.view(sentences * length, 3 * dims)
