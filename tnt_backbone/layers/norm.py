"""Layer normalisation of feature maps, and of the words of a sentence together."""

from torch import Tensor, nn

from ..ops.reference import layer_norm


class SentenceNorm(nn.LayerNorm):
    """Normalise all words of a sentence together: ``(S, M, c) -> (S, M, c)``.

    An ``nn.LayerNorm([M, c])`` whose gradient works for any number of sentences on a GPU, see
    :func:`tnt_backbone.ops.reference.layer_norm`.
    """

    def forward(self, words: Tensor) -> Tensor:
        """Normalise over words and channels."""
        return layer_norm(words, self.weight, self.bias, self.eps)


class LayerNorm2d(nn.LayerNorm):
    """Normalise the channels at each position: ``(B, C, H, W) -> (B, C, H, W)``.

    A subclass of ``nn.LayerNorm``, so that optimizer constructors which look for norms by type
    (mmengine's ``norm_decay_mult``) find it.
    """

    def forward(self, feature_map: Tensor) -> Tensor:
        """Normalise over channels."""
        normed = super().forward(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        # A convolution of a permuted map gives its weight a permuted gradient, which DDP must copy.
        return normed.contiguous()
