"""The pre-norm transformer block of words (inner) and of sentences (outer).

Source: paper Eq. 6-7 and 9-10 (https://arxiv.org/abs/2103.00112).
"""

from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from .attention import Attention
from .drop_path import DropPath
from .mlp import Mlp
from .norm import SentenceNorm
from .squeeze_excitation import SqueezeExcitation


class TransformerBlock(nn.Module):
    """A block of attention and MLP, each with a residual: ``(B, N, C) -> (B, N, C)``.

    Args:
        dims: Channels ``C``.
        num_heads: Attention heads.
        mlp_ratio: Hidden channels of the MLP relative to ``dims``.
        qkv_bias: Whether queries, keys and values have a bias.
        attn: The attention; by default :class:`Attention` of these dimensions.
        window_size: Windows of that default attention; see there.
        class_token_only: With that default attention, return only the first token, ``(B, 1, C)``.
            The other tokens are only keys and values. It is for the last block of a classifier and
            excludes ``se``, whose gate needs all tokens.
        norm_shape: ``[M, c]`` to normalise the words of a sentence together; by default the
            channels of each token are normalised.
        se: Add a squeeze-and-excitation gate to the MLP's output.
        drop_rate: Dropout of the projections, in [0, 1).
        attn_drop_rate: Dropout of the attention weights, in [0, 1).
        drop_path: Stochastic depth of both residual branches, in [0, 1).

    Raises:
        ValueError: If ``se`` and ``class_token_only`` are both true.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        attn: nn.Module | None = None,
        window_size: int | None = None,
        class_token_only: bool = False,
        norm_shape: list[int] | None = None,
        se: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if se and class_token_only:
            raise InputError(
                'se=True needs all tokens, but class_token_only=True computes only one. Leave one '
                'of them out'
            )
        self.class_token_only = class_token_only
        self.norm1 = SentenceNorm(norm_shape) if norm_shape else nn.LayerNorm(dims)
        self.attn = attn or Attention(
            dims,
            num_heads,
            qkv_bias=qkv_bias,
            attn_drop_rate=attn_drop_rate,
            drop_rate=drop_rate,
            window_size=window_size,
            class_token_only=class_token_only,
        )
        self.norm2 = SentenceNorm(norm_shape) if norm_shape else nn.LayerNorm(dims)
        self.mlp = Mlp(dims, int(dims * mlp_ratio), drop_rate=drop_rate)
        self.se = SqueezeExcitation(dims) if se else None
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, *places: Any) -> Tensor:
        """Return new tokens; the input is not changed.

        Args:
            tokens: See the class.
            places: What the attention needs about the tokens' places.
        """
        update = self.drop_path(self.attn(self.norm1(tokens), *places))
        tokens = (tokens[:, :1] if self.class_token_only else tokens) + update
        update = self.mlp(self.norm2(tokens))
        if self.se is not None:
            update = update + self.se(update)
        return tokens + self.drop_path(update)
