"""Attention to a pooled map (PyramidTNT's "LSRA") with a dense relative position table.

Source: ``Attention`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/pyramid_tnt.py.
Difference: a resized table never exists as a matrix (``relative_position.py``).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..ops.attend import attend
from .attention import check_heads
from .relative_position import Factors


class SpatialReductionAttention(nn.Module):
    """Attention of all tokens to an averaged map of the tokens: ``(B, N, C) -> (B, N, C)``.

    Args:
        dims: Channels ``C``.
        num_heads: Heads; must divide ``dims``.
        sr_ratio: Side of the square whose mean is one key; it divides the grid. With 1, attention
            is to the tokens themselves.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention weights, in [0, 1).
        drop_rate: Dropout of the output, in [0, 1).

    Raises:
        ValueError: If ``num_heads`` does not divide ``dims``.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        sr_ratio: int,
        *,
        qkv_bias: bool = False,
        attn_drop_rate: float = 0.0,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(dims, num_heads)
        self.num_heads = num_heads
        self.sr_ratio = sr_ratio
        self.attn_drop_rate = attn_drop_rate
        self.q = nn.Linear(dims, dims, bias=qkv_bias)
        self.kv = nn.Linear(dims, 2 * dims, bias=qkv_bias)
        self.proj = nn.Linear(dims, dims)
        self.proj_drop = nn.Dropout(drop_rate)
        self.reduce = nn.Linear(dims, dims) if sr_ratio > 1 else None
        self.reduce_norm = nn.LayerNorm(dims) if sr_ratio > 1 else None

    def forward(self, tokens: Tensor, grid: tuple[int, int], position: Factors) -> Tensor:
        """Return the tokens after attention.

        Args:
            tokens: See the class.
            grid: ``(h, w)`` of the tokens.
            position: Factors ``(heads, N, P)`` and ``(N/sr^2, P)`` of the added logits, or the
                logits and ``None``, see :func:`factor_relative_position`.
        """
        batch, length, dims = tokens.shape
        q = self.q(tokens).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, N, C')
        kv = self.kv(self._pool(tokens, grid)).unflatten(2, (2, self.num_heads, -1))
        k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N/sr^2, C')

        drop_rate = self.attn_drop_rate if self.training else 0.0
        query_side, key_side = position
        if key_side is None:
            table = query_side.to(q.dtype).unsqueeze(0)
            mixed = attend(q, k, v, mask=table, dropout_p=drop_rate)
        else:
            q, k, v = _lengthen(q, k, v, query_side.to(q.dtype), key_side.to(q.dtype))
            mixed = attend(q, k, v, dropout_p=drop_rate, scale=1.0)
            mixed = mixed[..., : dims // self.num_heads]
        return self.proj_drop(self.proj(mixed.transpose(1, 2).reshape(batch, length, dims)))

    def _pool(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the tokens, averaged in squares: ``(B, N, C) -> (B, N/sr^2, C)``."""
        if self.reduce is None or self.reduce_norm is None:
            return tokens
        feature_map = tokens.transpose(1, 2).unflatten(2, grid)  # (B, C, h, w)
        pooled = F.avg_pool2d(feature_map, self.sr_ratio).flatten(2).transpose(1, 2)
        return self.reduce_norm(self.reduce(pooled))


def _lengthen(
    q: Tensor, k: Tensor, v: Tensor, query_side: Tensor, key_side: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k, v with the table appended: ``(B, heads, L, C') -> (B, heads, L, C'+P)``."""
    batch, heads, _, head_dims = q.shape
    q = torch.cat((q * head_dims**-0.5, query_side.expand(batch, -1, -1, -1)), dim=-1)
    k = torch.cat((k, key_side.expand(batch, heads, -1, -1)), dim=-1)
    return q, k, F.pad(v, (0, q.shape[-1] - head_dims))  # fused attention wants one width
