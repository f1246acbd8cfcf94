"""Layer normalisation of feature maps, and of all words of a sentence together."""

from torch import Tensor, nn

from ..ops.reference import layer_norm


class SentenceNorm(nn.LayerNorm):
    """Normalise all words of a sentence together: ``(S, M, c) -> (S, M, c)``.

    This is ``nn.LayerNorm([M, c])``, but its gradient works for any number of sentences on a GPU,
    see :func:`tnt_backbone.ops.reference.layer_norm`.
    """

    def forward(self, words: Tensor) -> Tensor:
        """Return the words, normalised over words and channels."""
        return layer_norm(words, self.normalized_shape, self.weight, self.bias, self.eps)


class LayerNorm2d(nn.LayerNorm):
    """Normalise the channels at each position: ``(B, C, H, W) -> (B, C, H, W)``.

    It is a subclass of ``nn.LayerNorm``, because optimizer constructors look for norms by their
    type (mmengine's ``norm_decay_mult``).
    """

    def forward(self, feature_map: Tensor) -> Tensor:
        """Return the map, normalised over channels."""
        normed = super().forward(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        # With a permuted map, a convolution's weight gets a permuted gradient, which DDP must copy.
        return normed.contiguous()
