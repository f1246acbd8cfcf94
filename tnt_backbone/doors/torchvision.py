"""A backbone for torchvision's detectors: maps with names, all of one width."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from ..errors import InputError


class WithFPN(nn.Module):
    """A backbone and torchvision's feature pyramid network.

    ::

        backbone = WithFPN(TNT('s', out_indices=(1, 2, 3)), extra_blocks=LastLevelP6P7(256, 256))
        model = torchvision.models.detection.RetinaNet(backbone, num_classes=91)

    Args:
        backbone: One of ours, with ``out_type='pyramid'``.
        out_channels: Width of all maps; torchvision's detectors take 256.
        extra_blocks: Makes coarser maps of the coarsest: ``LastLevelP6P7`` for RetinaNet,
            ``LastLevelMaxPool`` for Faster R-CNN.

    Attributes:
        out_channels: Where torchvision's detectors look for the width.
    """

    def __init__(
        self, backbone: Any, *, out_channels: int = 256, extra_blocks: ExtraFPNBlock | None = None
    ) -> None:
        super().__init__()
        if getattr(backbone, 'out_type', None) != 'pyramid':
            raise InputError(
                f"backbone={type(backbone).__name__} must have out_type='pyramid', which gives maps"
            )
        self.backbone = backbone
        self.out_channels = out_channels
        widths: Sequence[int] = backbone.out_channels
        self.fpn = FeaturePyramidNetwork(list(widths), out_channels, extra_blocks)

    def forward(self, x: Tensor) -> 'OrderedDict[str, Tensor]':
        """Map images ``(B, C, H, W)`` to maps ``(B, out_channels, H/s, W/s)``, the finest first."""
        maps = self.backbone(x)
        return self.fpn(OrderedDict((str(i), level) for i, level in enumerate(maps)))
