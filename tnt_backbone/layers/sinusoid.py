"""The fixed position table of T2T-ViT (that of https://arxiv.org/abs/1706.03762).

Source: ``get_sinusoid_encoding`` of
https://github.com/yitu-opensource/T2T-ViT/blob/0f63dc9/models/transformer_block.py.
"""

import torch
from torch import Tensor


def sinusoid_table(length: int, dims: int) -> Tensor:
    """Return the table ``(1, length, dims)``: sines in even channels, cosines in odd ones.

    It is computed on the CPU, whatever PyTorch's default device is (MPS has no float64), and
    returned on the default device in the default dtype.
    """
    channels = torch.arange(dims, dtype=torch.float64, device='cpu')
    rates = 10000.0 ** (-2 * (channels // 2) / dims)
    angles = torch.arange(length, dtype=torch.float64, device='cpu')[:, None] * rates
    table = torch.where(channels % 2 == 0, angles.sin(), angles.cos())
    return table.float().unsqueeze(0).to(torch.get_default_device(), torch.get_default_dtype())
