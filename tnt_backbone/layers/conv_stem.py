"""The stem of PyramidTNT: convolutions make words of 2 pixels and sentences of 8 pixels.

Source: ``Stem`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/pyramid_tnt.py.
"""

from itertools import pairwise

from torch import Tensor, nn

from .tiles import cut_into_tiles

SENTENCE_STRIDE = 8  # pixels
WORDS_PER_SIDE = 4


class ConvStem(nn.Module):
    """The stem: ``(B, C, H, W) -> (B*N, 16, c)`` words, ``(B, N, d)`` sentences, ``N = H*W/64``.

    Args:
        in_channels: Channels ``C`` of the image.
        word_dims: Channels ``c`` of a word.
        sentence_dims: Channels ``d`` of a sentence.
    """

    def __init__(self, in_channels: int, word_dims: int, sentence_dims: int) -> None:
        super().__init__()
        c = word_dims
        self.common = nn.Sequential(*_conv_bn_relu(in_channels, 2 * c, stride=2))
        self.words = nn.Sequential(*_conv_bn_relu(2 * c, c, stride=1))
        widths = (2 * c, 4 * c, 8 * c, sentence_dims)
        self.sentences = nn.Sequential(
            *(
                layer
                for (width, next_width), stride in zip(pairwise(widths), (2, 2, 1), strict=True)
                for layer in _conv_bn_relu(width, next_width, stride)
            )
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return words and sentences of an image whose sides are multiples of 8."""
        common = self.common(image)  # (B, 2c, H/2, W/2)
        tiles = cut_into_tiles(self.words(common), WORDS_PER_SIDE)  # (B*N, c, 4, 4)
        sentences = self.sentences(common)  # (B, d, H/8, W/8)
        return tiles.flatten(2).transpose(1, 2), sentences.flatten(2).transpose(1, 2)


def _conv_bn_relu(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU()]
