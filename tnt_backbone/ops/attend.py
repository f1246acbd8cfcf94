"""PyTorch's attention for any number of sentences."""

import torch
from torch import Tensor
from torch.nn import functional as F

# A GPU's kernels count the batch in a dimension of their grid that ends here. Beyond it, PyTorch
# 2.11 fails in fp16 and bf16: "CUDA error: invalid argument". 16 images of 800x1344 pixels have
# 67,200 sentences of words.
MAX_BATCH = 65535


def attend(q: Tensor, k: Tensor, v: Tensor, *, dropout_p: float = 0.0) -> Tensor:
    """Return ``F.scaled_dot_product_attention(q, k, v)``, each ``(B, heads, N, C/heads)``."""
    if not q.is_cuda or len(q) <= MAX_BATCH:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p)
    parts = zip(*(tensor.split(MAX_BATCH) for tensor in (q, k, v)), strict=True)
    return torch.cat([attend(*part, dropout_p=dropout_p) for part in parts])
