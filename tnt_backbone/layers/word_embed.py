"""From the image to visual words (paper Sec. 2.2; official ``PatchEmbed``).

Source: https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/tnt.py and,
for the legacy form, ``PixelEmbed`` of timm's ``tnt_s_legacy_patch16_224``.
"""

from torch import Tensor, nn

from .tiles import cut_into_tiles


class WordEmbed(nn.Module):
    """The embedding of words with a 7x7 convolution: ``(B, C, H, W) -> (B*N, M, c)``.

    There are ``N = H/patch_size * W/patch_size`` sentences, row by row. Each has
    ``M = (patch_size/word_stride)^2`` words, row by row.

    Args:
        in_channels: Channels ``C`` of the image.
        word_dims: Channels ``c`` of a word.
        patch_size: Side of a sentence in pixels; divides H and W.
        word_stride: Side of a word in pixels; divides ``patch_size``.
        per_sentence: Convolve each patch on its own (official), so that no word reads a
            neighbouring sentence. Otherwise convolve the whole image (legacy).
    """

    def __init__(
        self,
        in_channels: int,
        word_dims: int,
        patch_size: int,
        word_stride: int,
        *,
        per_sentence: bool,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.words_per_side = patch_size // word_stride
        self.per_sentence = per_sentence
        self.proj = nn.Conv2d(in_channels, word_dims, kernel_size=7, stride=word_stride, padding=3)

    def forward(self, image: Tensor) -> Tensor:
        """Return the words of an image."""
        if self.per_sentence:
            patches = cut_into_tiles(image, self.patch_size)  # (B*N, C, p, p)
            return self.proj(patches).flatten(2).transpose(1, 2)  # (B*N, M, c)
        word_map = self.proj(image)  # (B, c, H/stride, W/stride)
        return cut_into_tiles(word_map, self.words_per_side).flatten(2).transpose(1, 2)
