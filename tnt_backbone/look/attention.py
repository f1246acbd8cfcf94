"""Attention weights, which the quick path never makes.

The network attends with fused operations that keep no weights. Here queries and keys are computed
again from what went into an attention, and only the rows that somebody asks for are made. A row
needs ``heads * keys`` numbers. All rows of TNT at 800x1344 pixels would need 400 MiB per block.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputTypeError
from ..layers import Attention, SpatialReductionAttention
from ..layers.relative_position import Factors
from ..layers.tiles import count_tiles

Grid = tuple[int, int]


@dataclass(frozen=True)
class AttentionRows:
    """What the rows of an attention matrix are made from; the rows of each query sum to 1.

    Attributes:
        q: ``(B, heads, Nq, c)``, queries, float32.
        k: ``(B, heads, Nk, c)``, keys, float32.
        v: ``(B, heads, Nk, c)``, values, float32.
        position: Factors of the added logits, see :class:`SpatialReductionAttention`.
        windows: ``(Nq,)``: number of the window of each token. Window -1 is the class token, which
            reads all and is read by all.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    position: Factors | None = None
    windows: Tensor | None = None

    def rows(self, queries: Tensor | None = None) -> Tensor:
        """Return the weights of some queries: ``(B, heads, n, Nk)``, each in [0, 1].

        Args:
            queries: ``(n,)`` numbers of queries; by default all.
        """
        if queries is None:
            queries = torch.arange(self.q.shape[2], device=self.q.device)
        logits = self.q[:, :, queries] @ self.k.transpose(2, 3) * self.q.shape[3] ** -0.5
        if self.position is not None:
            query_side, key_side = (None if f is None else f.float() for f in self.position)
            bias = query_side[:, queries]  # type: ignore[index]
            logits = logits + (bias if key_side is None else bias @ key_side.T)
        if self.windows is not None:
            own, every = self.windows[queries, None], self.windows[None]
            logits = logits.masked_fill((own != every) & (own >= 0) & (every >= 0), -torch.inf)
        return logits.softmax(dim=-1)


@torch.no_grad()
def attention_rows(attn: nn.Module, tokens: Tensor, *places: Any) -> AttentionRows:
    """Return what the rows of an attention's matrix are made from.

    Args:
        attn: :class:`Attention` or :class:`SpatialReductionAttention`.
        tokens: ``(B, N, C)``, what the attention was called with.
        places: The further arguments of that call.

    Raises:
        TypeError: If the module is another one. T2T-ViT's Performer, for instance, approximates
            attention and has no matrix.
    """
    if isinstance(attn, Attention):
        qkv = attn.qkv(tokens).unflatten(2, (3, attn.num_heads, -1))  # (B, N, 3, heads, c)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).float().unbind(0)
        windows = None
        if attn.class_token_only:
            q = q[:, :, :1]
        elif attn.window_size is not None and places:
            windows = number_windows(places[0], attn.window_size).to(q.device)
        return AttentionRows(q, k, v, windows=windows)
    if isinstance(attn, SpatialReductionAttention):
        grid, position = places
        q = attn.q(tokens).unflatten(2, (attn.num_heads, -1)).transpose(1, 2)
        kv = attn.kv(attn._pool(tokens, grid)).unflatten(2, (2, attn.num_heads, -1))
        k, v = kv.permute(2, 0, 3, 1, 4).float().unbind(0)
        return AttentionRows(q.float(), k, v, position=position)
    raise InputTypeError(
        f'{type(attn).__name__} has no attention weights that can be shown. Attention and '
        'SpatialReductionAttention have'
    )


def number_windows(grid: Grid, window_size: int) -> Tensor:
    """Return the window of each token: ``(1 + h*w,)``, -1 for the class token, which is first."""
    rows, columns = (torch.arange(side) // min(window_size, side) for side in grid)
    across = count_tiles(grid[1], min(window_size, grid[1]))
    numbers = rows[:, None] * across + columns[None]
    return F.pad(numbers.flatten(), (1, 0), value=-1)
