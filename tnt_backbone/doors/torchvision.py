"""A backbone for torchvision's detectors: maps with names, all of one width."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from ..backbones.arguments import check_sizes
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

    Raises:
        ValueError: If the backbone returns no maps, or not the finest first.
    """

    def __init__(
        self, backbone: Any, *, out_channels: int = 256, extra_blocks: ExtraFPNBlock | None = None
    ) -> None:
        super().__init__()
        if getattr(backbone, 'out_type', None) != 'pyramid':
            raise InputError(
                f"backbone={type(backbone).__name__} must have out_type='pyramid', which gives maps"
            )
        check_sizes(out_channels=out_channels)
        if list(backbone.out_strides) != sorted(backbone.out_strides):
            raise InputError(
                f'out_indices={backbone.out_indices} gives maps of the strides '
                f'{backbone.out_strides}, but the pyramid network takes the finest first. Sort '
                'out_indices'
            )
        self.backbone = backbone
        self.out_channels = out_channels
        widths: Sequence[int] = backbone.out_channels
        self.num_maps = len(widths)
        self.fpn = FeaturePyramidNetwork(list(widths), out_channels, extra_blocks)

    def forward(self, x: Tensor) -> 'OrderedDict[str, Tensor]':
        """Map images ``(B, C, H, W)`` to maps ``(B, out_channels, H/s, W/s)``, the finest first."""
        maps = self.backbone(x)
        # torch.fx takes the backbone as a leaf, and then knows no number of maps
        return self.fpn(OrderedDict((str(i), maps[i]) for i in range(self.num_maps)))
