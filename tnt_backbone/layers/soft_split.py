"""T2T-ViT's soft split: overlapping squares of a map become tokens (paper Eq. 3-4).

Source: https://github.com/yitu-opensource/T2T-ViT/blob/0f63dc9/models/t2t_vit.py, ``T2T_module``.
"""

from torch import Tensor, nn


class SoftSplit(nn.Module):
    """The soft split: ``(B, C, h, w) -> (B, h/stride * w/stride, C * kernel_size^2)``.

    Args:
        kernel_size: Side of a square; neighbours overlap by ``kernel_size - stride``.
        stride: Step between squares. It divides h and w.
        padding: Zeros around the map, so that the grid is ``h/stride * w/stride``.
    """

    def __init__(self, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride = stride
        self.unfold = nn.Unfold(kernel_size, padding=padding, stride=stride)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Return the tokens; their values are ordered by channel, then row, then column."""
        return self.unfold(feature_map).transpose(1, 2)
