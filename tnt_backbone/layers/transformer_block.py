"""A pre-norm transformer block: the inner (words) and the outer (sentences) one alike.

Source: paper Eq. 6-7 and 9-10 (https://arxiv.org/abs/2103.00112).
"""

from torch import Tensor, nn

from .attention import Attention
from .drop_path import DropPath
from .mlp import Mlp
from .squeeze_excitation import SqueezeExcitation


class TransformerBlock(nn.Module):
    """Attention and MLP, each with a residual: ``(B, N, C) -> (B, N, C)``.

    Args:
        dims: Channels ``C``.
        num_heads: Attention heads.
        mlp_ratio: Hidden channels of the MLP relative to ``dims``.
        qkv_bias: Whether queries, keys and values have a bias.
        se: Add a squeeze-and-excitation gate to the MLP's output.
        drop_rate: Dropout of the projections, in [0, 1).
        attn_drop_rate: Dropout of the attention weights, in [0, 1).
        drop_path: Stochastic depth of both residual branches, in [0, 1).
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        se: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.attn = Attention(
            dims, num_heads, qkv_bias=qkv_bias, attn_drop_rate=attn_drop_rate, drop_rate=drop_rate
        )
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, int(dims * mlp_ratio), drop_rate=drop_rate)
        self.se = SqueezeExcitation(dims) if se else None
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return new tokens; the given ones are not written to."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        update = self.mlp(self.norm2(tokens))
        if self.se is not None:
            update = update + self.se(update)
        return tokens + self.drop_path(update)
