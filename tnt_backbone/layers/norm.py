"""Layer normalisation of feature maps."""

from torch import Tensor, nn


class LayerNorm2d(nn.LayerNorm):
    """Normalise the channels at each position: ``(B, C, H, W) -> (B, C, H, W)``.

    A subclass of ``nn.LayerNorm``, so that optimizer constructors which look for norms by type
    (mmengine's ``norm_decay_mult``) find it.
    """

    def forward(self, feature_map: Tensor) -> Tensor:
        """Normalise over channels."""
        return super().forward(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
