"""Multi-head self-attention.

Source: paper Eq. 2 and 3 (https://arxiv.org/abs/2103.00112); ``Attention`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/tnt.py.
Difference: one ``qkv`` layer instead of ``qk`` and ``v``, and PyTorch's fused attention, which
never keeps the attention matrix.
"""

from torch import Tensor, nn

from ..errors import InputError
from ..ops.attend import attend
from .window import attend_in_windows


class Attention(nn.Module):
    """Self-attention over the second axis: ``(B, N, C) -> (B, N, C)``.

    Args:
        dims: Channels ``C``.
        num_heads: Heads; must divide ``dims``.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention weights, in [0, 1).
        drop_rate: Dropout of the output, in [0, 1).
        window_size: Side of the windows in tokens, see :func:`attend_in_windows`; ``None`` attends
            to all tokens.
        class_token_only: Return only the first token, ``(B, 1, C)``, which attends to all.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dims``.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        *,
        qkv_bias: bool = False,
        attn_drop_rate: float = 0.0,
        drop_rate: float = 0.0,
        window_size: int | None = None,
        class_token_only: bool = False,
    ) -> None:
        super().__init__()
        check_heads(dims, num_heads)
        self.num_heads = num_heads
        self.attn_drop_rate = attn_drop_rate
        self.window_size = window_size
        self.class_token_only = class_token_only
        self.qkv = nn.Linear(dims, 3 * dims, bias=qkv_bias)
        self.proj = nn.Linear(dims, dims)
        self.proj_drop = nn.Dropout(drop_rate)

    def forward(self, tokens: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Return the tokens after attention.

        Args:
            tokens: See the class. With windows, the class token comes first.
            grid: ``(h, w)`` of the tokens; only windows need it.
        """
        qkv = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1))  # (B, N, 3, heads, C/heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, C/heads)
        drop_rate = self.attn_drop_rate if self.training else 0.0
        if self.class_token_only:
            mixed = attend(q[:, :, :1], k, v, dropout_p=drop_rate)
        elif self.window_size is not None and grid is not None:
            mixed = attend_in_windows(q, k, v, grid, self.window_size, drop_rate)
        else:
            mixed = attend(q, k, v, dropout_p=drop_rate)
        mixed = mixed.transpose(1, 2).flatten(2)  # (B, N or 1, C)
        return self.proj_drop(self.proj(mixed))


def check_heads(dims: int, num_heads: int) -> None:
    """Check that the number of heads divides the channels."""
    if dims % num_heads:
        raise InputError(
            f'num_heads={num_heads} must divide the {dims} channels. Choose a number of heads that '
            'divides them'
        )
