"""The inner block in plain PyTorch: what every other path is measured against.

Source: paper Eq. 6 and 7 (https://arxiv.org/abs/2103.00112).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .attend import attend


class InnerBlockParams(NamedTuple):
    """The parameters of an inner block, with the shapes of ``nn.LayerNorm`` and ``nn.Linear``.

    Attributes:
        norm1_weight: ``(c,)``, or ``(M, c)`` where all words of a sentence are normalised together.
        norm1_bias: The same shape.
        qkv_weight: ``(3c, c)``, queries first, then keys, then values, each head after head.
        proj_weight: ``(c, c)``.
        proj_bias: ``(c,)``.
        norm2_weight: Like ``norm1_weight``.
        norm2_bias: The same shape.
        fc1_weight: ``(f, c)``.
        fc1_bias: ``(f,)``.
        fc2_weight: ``(c, f)``.
        fc2_bias: ``(c,)``.
        qkv_bias: ``(3c,)`` or nothing.
    """

    norm1_weight: Tensor
    norm1_bias: Tensor
    qkv_weight: Tensor
    proj_weight: Tensor
    proj_bias: Tensor
    norm2_weight: Tensor
    norm2_bias: Tensor
    fc1_weight: Tensor
    fc1_bias: Tensor
    fc2_weight: Tensor
    fc2_bias: Tensor
    qkv_bias: Tensor | None = None


def pack(params: InnerBlockParams) -> Tensor:
    """All parameters in a row, in fp32, so that a kernel takes one address instead of twelve."""
    return torch.cat([p.detach().flatten() for p in params if p is not None]).float()


def unpack(row: Tensor, params: InnerBlockParams) -> list[Tensor]:
    """Gradients in a row, in the shapes and dtypes of the parameters."""
    given = [p for p in params if p is not None]
    found = row.split([p.numel() for p in given])
    # Copies: an operator's outputs must not share memory.
    return [g.view_as(p).to(p.dtype, copy=True) for g, p in zip(found, given, strict=True)]


def layer_norm(
    words: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Normalise each word, or all words of a sentence together: ``(S, M, c) -> (S, M, c)``.

    The axes that are normalised become one. On a GPU, the gradient of PyTorch 2.11's own layer norm
    over two axes fails for many sentences: "returned an invalid gradient at index 1".

    Args:
        words: ``M`` words of ``c`` channels in each of ``S`` sentences.
        shape: ``(c,)``, or ``(M, c)`` where all words of a sentence are normalised together.
        weight: Of this shape, or ``None`` for 1.
        bias: Of this shape, or ``None`` for 0.
        eps: Added to the variance.
    """
    flat = words.flatten(-len(shape))
    scale = None if weight is None else weight.flatten()
    shift = None if bias is None else bias.flatten()
    # of the numbers that are known: an exporter does not take the size of a tensor here
    normed = F.layer_norm(flat, (math.prod(shape),), scale, shift, eps)
    return normed.view_as(words)


def forward(
    words: Tensor,
    params: InnerBlockParams,
    scales: Tensor | None,
    *,
    num_heads: int,
    eps: float,
) -> Tensor:
    """Attention among the words of a sentence, then an MLP: see ``inner_block``."""
    normed = layer_norm(words, params.norm1_weight.shape, *params[:2], eps)
    qkv = F.linear(normed, params.qkv_weight, params.qkv_bias)  # (S, M, 3c)
    qkv = qkv.unflatten(2, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, S, heads, M, c/heads)
    mixed = attend(*qkv.unbind(0)).transpose(1, 2).flatten(2)  # (S, M, c)
    update = F.linear(mixed, params.proj_weight, params.proj_bias)
    words = words + (update if scales is None else update * scales[0, :, None, None])

    normed = layer_norm(words, params.norm2_weight.shape, *params[5:7], eps)
    hidden = F.gelu(F.linear(normed, params.fc1_weight, params.fc1_bias))  # (S, M, f)
    update = F.linear(hidden, params.fc2_weight, params.fc2_bias)
    return words + (update if scales is None else update * scales[1, :, None, None])
