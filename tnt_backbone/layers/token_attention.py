"""The two attention blocks of T2T-ViT's token module, which also reduce the channels.

Source: ``Token_transformer`` and ``Token_performer`` of
https://github.com/yitu-opensource/T2T-ViT/tree/0f63dc9/models. The residual of both is the values,
because the input has more channels than the output.
"""

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ..ops.attend import attend
from .mlp import Mlp

EPSILON = 1e-8  # the authors'; below the smallest number of fp16, so the division is done in fp32
# Numerator and denominator times a power of two: the quotient keeps every bit. PyTorch's ONNX
# exporter drops the addition of a number up to 1e-8.
SCALE = 2.0**20


class TokenTransformer(nn.Module):
    """Softmax attention of one head: ``(B, N, C) -> (B, N, C')``.

    Time grows with ``N^2``. At 800x1344 pixels, T2T-ViT's first module has 67200 tokens.

    Args:
        in_dims: Channels ``C``.
        dims: Channels ``C'``.
        drop_rate: Dropout of the projections, in [0, 1).
    """

    def __init__(self, in_dims: int, dims: int, *, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.scale = in_dims**-0.5  # not dims: the authors' code scales by the wider one
        self.norm1 = nn.LayerNorm(in_dims)
        self.qkv = nn.Linear(in_dims, 3 * dims, bias=False)
        self.proj = nn.Linear(dims, dims)
        self.proj_drop = nn.Dropout(drop_rate)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, dims, drop_rate=drop_rate)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens after attention, with fewer channels."""
        q, k, v = self.qkv(self.norm1(tokens)).unsqueeze(1).chunk(3, dim=-1)  # (B, 1, N, C')
        mixed = attend(q, k, v, scale=self.scale)
        tokens = (v + self.proj_drop(self.proj(mixed))).squeeze(1)
        return tokens + self.mlp(self.norm2(tokens))


class TokenPerformer(nn.Module):
    """Performer attention (https://arxiv.org/abs/2009.14794): ``(B, N, C) -> (B, N, C')``.

    Positive random features approximate the softmax, so time grows with ``N``. The features are
    always computed in fp32, also under autocast. In fp16 their squares overflow and the authors'
    epsilon becomes zero, which gives NaN.

    Args:
        in_dims: Channels ``C``.
        dims: Channels ``C'``.
        drop_rate: Dropout of both projections, in [0, 1); the authors' is 0.1.
        feature_ratio: Random features relative to ``dims``.
    """

    features: Tensor

    def __init__(
        self, in_dims: int, dims: int, *, drop_rate: float = 0.1, feature_ratio: float = 0.5
    ) -> None:
        super().__init__()
        num_features = max(int(dims * feature_ratio), 1)
        self.norm1 = nn.LayerNorm(in_dims)
        self.kqv = nn.Linear(in_dims, 3 * dims)  # keys first, in the authors' order
        self.proj = nn.Linear(dims, dims)
        self.proj_drop = nn.Dropout(drop_rate)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = nn.Sequential(
            nn.Linear(dims, dims), nn.GELU(), nn.Linear(dims, dims), nn.Dropout(drop_rate)
        )
        self.register_buffer('features', _random_features(num_features, dims))  # never trained

    def reset_parameters(self) -> None:
        """Draw the random features anew."""
        self.features.copy_(_random_features(*self.features.shape))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens after attention, with fewer channels."""
        k, q, v = self.kqv(self.norm1(tokens)).chunk(3, dim=-1)  # each (B, N, C')
        tokens = v + self.proj_drop(self.proj(self._mix(q, k, v)))
        return tokens + self.mlp(self.norm2(tokens))

    def _mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return attention with random features: each ``(B, N, C') -> (B, N, C')``."""
        dtype = torch.promote_types(v.dtype, torch.float32)
        device = v.device.type
        # 'meta', where operations are counted, knows no autocast
        with nullcontext() if device == 'meta' else torch.autocast(device, enabled=False):
            key_features, query_features = self._project(k.to(dtype)), self._project(q.to(dtype))
            weights = key_features.transpose(1, 2) @ v.to(dtype) * SCALE  # (B, m, C')
            total = query_features @ (key_features.sum(dim=1).unsqueeze(2) * SCALE)  # (B, N, 1)
            return (query_features @ weights / (total + EPSILON * SCALE)).to(v.dtype)

    def _project(self, x: Tensor) -> Tensor:
        """Return positive random features of the Gaussian kernel: ``(B, N, C') -> (B, N, m)``."""
        half_square = x.square().sum(dim=-1, keepdim=True) / 2
        directions = self.features.to(x.dtype)
        return torch.exp(x @ directions.T - half_square) / math.sqrt(len(directions))


def _random_features(number: int, dims: int) -> Tensor:
    """Return orthogonal directions ``(m, C')`` on the default device, in the default dtype.

    They are drawn on the CPU in fp32: PyTorch has no orthogonal matrices in half precision.
    """
    directions = torch.empty(number, dims, dtype=torch.float32, device='cpu')
    directions = nn.init.orthogonal_(directions) * math.sqrt(number)
    return directions.to(torch.get_default_device(), torch.get_default_dtype())
