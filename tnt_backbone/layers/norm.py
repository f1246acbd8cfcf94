"""Layer normalisation of feature maps."""

from torch import Tensor, nn


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
