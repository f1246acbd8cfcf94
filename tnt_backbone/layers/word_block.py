"""The inner transformer block, computed as one operation where possible.

Source: paper Eq. 6 and 7 (https://arxiv.org/abs/2103.00112).
"""

from typing import Any

import torch
from torch import Tensor

from ..ops import InnerBlockParams, check_backend, inner_block
from ..ops.attend import transforms_are_active
from .fusable import (
    decided,
    drops,
    is_ordinary,
    note,
    say_once,
    why_not_plain,
)
from .transformer_block import TransformerBlock


class WordBlock(TransformerBlock):
    """A :class:`TransformerBlock` of words: ``(S, M, c) -> (S, M, c)``.

    Its modules hold the parameters, and one operation (``ops/``) computes the result. The modules
    are called one by one if the operation cannot replace them exactly: while dropout is active, or
    if one of them has a hook, has another ``forward`` or was replaced (LoRA, quantisation), see
    ``fusable.py``.

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
        if not self._is_fused(words):
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

    def _is_fused(self, words: Tensor) -> bool:
        """Return whether the operation replaces the modules; say once why a change forbids it."""
        compiling = torch.compiler.is_compiling()
        if not compiling and (known := decided()) is not None:
            return known
        reason = None
        fused = is_ordinary(words) and not transforms_are_active()
        if fused:
            reason = why_not_plain(self, words)
            fused = reason is None and not drops(self)
        if not compiling:
            note(fused)
            if reason:
                say_once(reason)
        return fused
