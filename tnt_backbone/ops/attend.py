"""PyTorch's attention for any number of sentences, and for derivatives of all kinds."""

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# A GPU's kernels count the batch in a dimension of their grid that ends here. Beyond it, PyTorch
# 2.11 fails in fp16 and bf16: "CUDA error: invalid argument". 16 images of 800x1344 pixels have
# 67,200 sentences of words.
MAX_BATCH = 65535


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    """Return ``F.scaled_dot_product_attention(q, k, v)``, each ``(B, heads, N, C/heads)``.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        mask: Added logits, or which keys a query sees; it has one row or one per batch entry.
        dropout_p: Dropout of the attention weights.
        scale: Factor of the logits; ``None`` is ``(C/heads) ** -0.5``.
    """
    if not q.is_cuda or len(q) <= MAX_BATCH:
        # PyTorch's fused attention has no derivative in forward mode, and none of a batched mask.
        with sdpa_kernel(SDPBackend.MATH) if transforms_are_active() else nullcontext():
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout_p, scale=scale
            )
    masks = [mask] if mask is None or len(mask) == 1 else mask.split(MAX_BATCH)
    parts = [tensor.split(MAX_BATCH) for tensor in (q, k, v)]
    return torch.cat(
        [
            attend(*part, mask=masks[i % len(masks)], dropout_p=dropout_p, scale=scale)
            for i, part in enumerate(zip(*parts, strict=True))
        ]
    )


def transforms_are_active() -> bool:
    """Return whether derivatives in forward mode, or ``torch.func``, look at each operation."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def is_batched(tensor: Tensor) -> bool:
    """Return whether ``vmap`` looks at a tensor; autograd's own vmap is another one."""
    functorch = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)
