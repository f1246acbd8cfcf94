"""Aggregation between PyramidTNT's stages: four sentences become one, and so do their words.

Source: ``SentenceAggregation`` and ``WordAggregation`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/pyramid_tnt.py.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .tiles import count_tiles, cut_into_tiles, to_word_map


class SentenceAggregation(nn.Module):
    """A 3x3 convolution of stride 2: ``(B, h*w, d) -> (B, ceil(h/2)*ceil(w/2), d')``.

    Args:
        dims: Channels ``d``.
        out_dims: Channels ``d'``.
    """

    def __init__(self, dims: int, out_dims: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims)
        self.conv = nn.Conv2d(dims, out_dims, kernel_size=3, stride=2, padding=1)

    def forward(self, sentences: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the aggregated sentences of a ``(h, w)`` grid."""
        feature_map = self.norm(sentences).transpose(1, 2).unflatten(2, grid)  # (B, d, h, w)
        # With a permuted map, the convolution would permute its weight in each call.
        return self.conv(feature_map.contiguous()).flatten(2).transpose(1, 2)


class WordAggregation(nn.Module):
    """Halve the word map of four sentences: ``(B*h*w, M, c) -> (B*ceil(h/2)*ceil(w/2), M, c')``.

    The 3x3 convolution of stride 2 reads only the words of its four sentences. At the edge of an
    odd grid, the missing sentences are zeros.

    Args:
        dims: Channels ``c``.
        out_dims: Channels ``c'``.
        words_per_side: Root of ``M``.
    """

    def __init__(self, dims: int, out_dims: int, words_per_side: int) -> None:
        super().__init__()
        self.words_per_side = words_per_side
        self.norm = nn.LayerNorm(dims)
        self.conv = nn.Conv2d(dims, out_dims, kernel_size=3, stride=2, padding=1)

    def forward(self, words: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the aggregated words of a ``(h, w)`` grid of sentences."""
        side = self.words_per_side
        word_map = to_word_map(self.norm(words), grid, side)  # (B, c, h*side, w*side)
        bottom, right = ((count_tiles(length, 2) * 2 - length) * side for length in grid)
        word_map = F.pad(word_map, (0, right, 0, bottom))
        return self.conv(cut_into_tiles(word_map, 2 * side)).flatten(2).transpose(1, 2)
