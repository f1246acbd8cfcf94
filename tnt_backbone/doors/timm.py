"""The backbones in timm: ``timm.create_model('tnt_backbone_tnt_s', features_only=True)``.

Importing this file registers the names with timm. segmentation-models-pytorch finds them there:
``smp.Unet('tu-tnt_backbone_tnt_s')``.
"""

import inspect
from typing import Any

from timm.models import FeatureInfo, register_model
from torch import Tensor, nn

from ..backbones import TNT, PyramidTNT, T2TViT
from ..checkpoints import load_pretrained, resolve_checkpoint
from ..checkpoints.convert import to_ours
from ..checkpoints.published import PUBLISHED, SCHEME
from ..checkpoints.read import read_tensors
from ..errors import InputError

PREFIX = 'tnt_backbone_'  # timm has models of its own that are called tnt_s_...
# Family: the prefix of its published names, and what its classifier reads
FAMILIES: dict[Any, tuple[str, str]] = {
    TNT: ('tnt', 'cls_token'),
    PyramidTNT: ('pyramid_tnt', 'avg_featmap'),
    T2TViT: ('t2t_vit', 'cls_token'),
}


class Features(nn.Module):
    """The feature maps of a backbone, as timm's ``features_only=True`` gives them.

    Args:
        backbone: With ``out_type='pyramid'``.

    Attributes:
        feature_info: Channels and strides of the maps, for ``channels()`` and ``reduction()``.
    """

    output_fmt = 'NCHW'

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone
        levels = zip(backbone.out_channels, backbone.out_strides, strict=True)
        self.feature_info = FeatureInfo(
            [
                {'num_chs': channels, 'reduction': stride, 'module': f'level{i}', 'index': i}
                for i, (channels, stride) in enumerate(levels)
            ],
            tuple(range(len(backbone.out_channels))),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images ``(B, C, H, W)`` to one map per level, the finest first."""
        return list(self.backbone(x))


class Classifier(nn.Module):
    """A backbone and a linear layer, with the methods of timm's classifiers.

    Args:
        backbone: Returns one vector per image.
        num_classes: Classes; 0 for the vector itself.
    """

    def __init__(self, backbone: Any, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = self.head_hidden_size = backbone.out_channels[-1]
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        """Return the linear layer."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the linear layer; ``global_pool`` is the family's and cannot be changed."""
        if global_pool is not None:
            raise InputError(f'global_pool={global_pool!r} cannot be chosen. Leave it out')
        self.num_classes = num_classes
        self.head: nn.Module = nn.Identity()
        if num_classes:
            self.head = nn.Linear(self.num_features, num_classes)
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` to vectors ``(B, num_features)``."""
        return self.backbone(x)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map vectors to scores ``(B, num_classes)``."""
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` to scores ``(B, num_classes)``."""
        return self.forward_head(self.forward_features(x))


def _build(
    family: Any,
    arch: str,
    *,
    published: str,
    pretrained: bool = False,
    features_only: bool = False,
    num_classes: int = 1000,
    in_chans: int = 3,
    out_indices: tuple[int, ...] = (0, 1, 2, 3),
    **options: Any,
) -> nn.Module:
    """Build what ``timm.create_model`` asks for, in timm's words."""
    for name in ('pretrained_cfg', 'pretrained_cfg_overlay', 'cache_dir', 'scriptable'):
        options.pop(name, None)
    if pretrained and published not in PUBLISHED:
        raise InputError(f'pretrained=True: no weights of {published} were published. Leave it out')
    known = inspect.signature(family).parameters
    if unknown := sorted(set(options) - set(known)):
        raise InputError(
            f'{", ".join(unknown)}: not an argument of {family.__name__}, which takes '
            f'{", ".join(known)}'
        )
    options['in_channels'] = in_chans
    checkpoint = SCHEME + published
    if features_only:
        backbone = family(arch, out_indices=tuple(out_indices), **options)
        if pretrained:
            load_pretrained(backbone, checkpoint)
        return Features(backbone)
    model = Classifier(family(arch, out_type=FAMILIES[family][1], **options), num_classes)
    if pretrained:
        load_pretrained(model.backbone, checkpoint)
        head = to_ours(read_tensors(resolve_checkpoint(checkpoint))).head
        if head and head['weight'].shape == model.head.weight.shape:
            model.head.load_state_dict(head)
    return model


def _register(family: Any, arch: str, published: str) -> None:
    def create(pretrained: bool = False, **options: Any) -> nn.Module:
        return _build(family, arch, published=published, pretrained=pretrained, **options)

    create.__name__ = create.__qualname__ = PREFIX + published
    create.__module__ = __name__
    register_model(create)


for _family, (_name, _) in FAMILIES.items():
    for _arch in _family.VARIANTS:
        _register(_family, _arch, f'{_name}_{_arch}')
