"""The inner transformer block, computed as one operation where possible.

Source: paper Eq. 6 and 7 (https://arxiv.org/abs/2103.00112).
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..ops import InnerBlockParams, check_backend, inner_block
from .attention import Attention
from .drop_path import DropPath
from .mlp import Mlp
from .norm import SentenceNorm
from .transformer_block import TransformerBlock

# The modules that the operation replaces. Modules of another type are called.
PARTS = {
    'norm1': (nn.LayerNorm, SentenceNorm),
    'attn': (Attention,),
    'attn.qkv': (nn.Linear,),
    'attn.proj': (nn.Linear,),
    'norm2': (nn.LayerNorm, SentenceNorm),
    'mlp': (Mlp,),
    'mlp.fc1': (nn.Linear,),
    'mlp.act': (nn.GELU,),
    'mlp.fc2': (nn.Linear,),
    'drop_path': (DropPath,),
}
HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')


class WordBlock(TransformerBlock):
    """A :class:`TransformerBlock` of words: ``(S, M, c) -> (S, M, c)``.

    Its modules hold the parameters, and one operation (``ops/``) computes the result. The modules
    are called one by one if the operation cannot replace them: while dropout is active, or if one
    of them has a hook or was replaced (LoRA, quantisation).

    Args:
        dims: Channels ``c``.
        num_heads: Attention heads.
        backend: Code that computes the operation, see :func:`tnt_backbone.ops.choose_backend`.
        options: Of :class:`TransformerBlock`.

    Raises:
        ValueError: If ``backend`` is unknown.
    """

    def __init__(
        self, dims: int, num_heads: int, *, backend: str | None = None, **options: Any
    ) -> None:
        super().__init__(dims, num_heads, **options)
        check_backend(backend)
        self.backend = backend

    def forward(self, words: Tensor, *places: Any) -> Tensor:
        """Return new words; the input is not changed."""
        if not self._is_plain():
            return super().forward(words, *places)
        attn: Any = self.attn
        params = InnerBlockParams(
            self.norm1.weight,
            self.norm1.bias,
            attn.qkv.weight,
            attn.proj.weight,
            attn.proj.bias,
            self.norm2.weight,
            self.norm2.bias,
            self.mlp.fc1.weight,
            self.mlp.fc1.bias,
            self.mlp.fc2.weight,
            self.mlp.fc2.bias,
            attn.qkv.bias,
        )
        scales = None
        if self.drop_path.training and self.drop_path.drop_prob:
            whole = words.new_ones(len(words))
            scales = torch.stack([self.drop_path(whole) for _ in range(2)])  # (2, S)
        return inner_block(
            words,
            params,
            num_heads=attn.num_heads,
            eps=self.norm1.eps,
            scales=scales,
            backend=self.backend,
        )

    def _is_plain(self) -> bool:
        """Return whether the modules do exactly what the operation does."""
        for name, kinds in PARTS.items():
            part = self.get_submodule(name)
            if type(part) not in kinds or any(getattr(part, hooks) for hooks in HOOKS):
                return False
        attn: Any = self.attn
        drops = (attn.attn_drop_rate and attn.training) or any(
            drop.p and drop.training for drop in (attn.proj_drop, self.mlp.drop)
        )
        return not drops and self.se is None and attn.window_size is None
