"""The backbones in timm: ``timm.create_model('tnt_backbone_tnt_s', features_only=True)``.

Importing this file registers the names with timm. segmentation-models-pytorch finds them there:
``smp.Unet('tu-tnt_backbone_tnt_s')``.
"""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from timm.models import (
    FeatureInfo,
    generate_default_cfgs,
    register_model,
    register_notrace_module,
    resolve_pretrained_cfg,
)
from torch import Tensor, nn

from ..backbones import TNT, PyramidTNT, T2TViT
from ..backbones.arguments import check_sizes
from ..backbones.outputs import to_map
from ..checkpoints import load_pretrained, resolve_checkpoint
from ..checkpoints.convert import to_ours
from ..checkpoints.published import PUBLISHED, SCHEME
from ..checkpoints.read import read_tensors
from ..errors import InputError
from ..layers.conv_stem import SENTENCE_STRIDE
from ..layers.tiles import count_tiles
from ..other_names import explain_unknown
from .stages import record_stages

PREFIX = 'tnt_backbone_'  # timm has models of its own that are called tnt_s_...
CROP_PCT = 0.9  # of all authors: 248 of 224 pixels, 284 of 256


class Family(NamedTuple):
    """What timm is told of a family.

    Attributes:
        prefix: Of its published names.
        global_pool: What its classifier reads, in timm's words.
        first_conv: The layers whose ``in_channels`` are those of the image.
        weights: A published row, whose mean and std hold for the family.
    """

    prefix: str
    global_pool: str
    first_conv: tuple[str, ...]
    weights: str


FAMILIES: dict[Any, Family] = {
    TNT: Family('tnt', 'token', ('backbone.word_embed.proj',), 'tnt_s'),
    PyramidTNT: Family('pyramid_tnt', 'avg', ('backbone.stem.common.0',), 'pyramid_tnt_s'),
    T2TViT: Family('t2t_vit', 'token', (), 't2t_vit_14'),  # cuts squares without a convolution
}


class _Model(nn.Module):
    """What a classifier and the feature maps share: timm's names for a backbone's abilities."""

    def __init__(self, backbone: Any, pretrained_cfg: dict[str, Any]) -> None:
        super().__init__()
        self.backbone = backbone
        stride = SENTENCE_STRIDE if isinstance(backbone, PyramidTNT) else backbone.pad_divisor
        size = (backbone.in_channels, *(side * stride for side in backbone.grid))
        self.pretrained_cfg = self.default_cfg = {**pretrained_cfg, 'input_size': size}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute each block again in the backward pass, which takes less memory."""
        self.backbone.with_cp = enable

    def no_weight_decay(self) -> set[str]:
        """Return the names of the class token and the position tables."""
        return {
            f'backbone.{name}'
            for name, _ in self.backbone.named_parameters()
            if name.rpartition('.')[2] in ('cls_token', 'sentence_pos', 'word_pos', 'pos_embed')
        }

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """Return a function from a parameter's name to its depth, for timm's layer decay."""

        def depth_of(name: str) -> int:
            depth, count = self.backbone.get_layer_depth(name, 'backbone.')
            return min(depth, 1) + (depth == count - 1) if coarse else depth

        return depth_of


class Features(_Model):
    """The feature maps of a backbone, as timm's ``features_only=True`` gives them.

    Args:
        backbone: With ``out_type='pyramid'``.
        pretrained_cfg: What the images must be like, in timm's words.

    Attributes:
        feature_info: Channels and strides of the maps, for ``channels()`` and ``reduction()``.
    """

    output_fmt = 'NCHW'

    def __init__(self, backbone: Any, pretrained_cfg: dict[str, Any]) -> None:
        super().__init__(backbone, _without_head(pretrained_cfg))
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


class Classifier(_Model):
    """A backbone and a linear layer, with the methods of timm's classifiers.

    Args:
        backbone: With ``out_type='raw'``.
        pretrained_cfg: What the images must be like, in timm's words.
        num_classes: Classes; 0 for the vector itself.
        global_pool: ``'token'`` (the class token), ``'avg'`` or ``''``; ``None`` is the authors'.
    """

    def __init__(
        self,
        backbone: Any,
        pretrained_cfg: dict[str, Any],
        num_classes: int,
        global_pool: str | None = None,
    ) -> None:
        super().__init__(backbone, pretrained_cfg)
        self.num_features = self.head_hidden_size = self.embed_dim = backbone.out_channels[-1]
        self.has_class_token = FAMILIES[type(backbone)].global_pool == 'token'
        self.num_prefix_tokens = int(self.has_class_token)
        self.feature_info = _describe_stages(backbone)
        self.global_pool = FAMILIES[type(backbone)].global_pool
        self.reset_classifier(num_classes, global_pool)

    def get_classifier(self) -> nn.Module:
        """Return the linear layer."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the linear layer, and what it reads if ``global_pool`` is given."""
        if global_pool is not None:
            allowed = ('', 'avg', 'token') if self.has_class_token else ('', 'avg')
            if global_pool not in allowed:
                raise InputError(f'global_pool={global_pool!r} is unknown. Choose one of {allowed}')
            self.global_pool = global_pool
        self.num_classes = num_classes
        weight = next(self.backbone.parameters())
        self.head: nn.Module = nn.Identity()
        if num_classes:
            self.head = nn.Linear(
                self.num_features, num_classes, device=weight.device, dtype=weight.dtype
            )
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
        self.head.train(self.training)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` to tokens ``(B, P+N, num_features)`` after the last norm.

        The class token of TNT and T2T-ViT comes first (``P = num_prefix_tokens``).
        """
        return self.backbone(x)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map tokens to scores ``(B, num_classes)``."""
        if self.global_pool == 'token':
            x = x[:, 0]
        elif self.global_pool == 'avg':
            x = x[:, self.num_prefix_tokens :].mean(dim=1)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(B, C, H, W)`` to scores ``(B, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = 'NCHW',
        intermediates_only: bool = False,
    ) -> Any:
        """Return what timm's models of this name return: the tokens, and those of inner blocks.

        Args:
            x: Images ``(B, C, H, W)``.
            indices: Blocks (PyramidTNT: stages), counted from 0; a number means the last ones.
                Default: all.
            return_prefix_tokens: Return pairs, whose second part is the class token.
            norm: Apply the last norm to each of them. PyramidTNT's fits its last stage only.
            stop_early: Has no effect: all blocks are run. :meth:`prune_intermediate_layers` leaves
                them out.
            output_fmt: ``'NCHW'`` for maps, ``'NLC'`` for tokens.
            intermediates_only: Return only the list.

        Raises:
            ValueError: If ``output_fmt`` or the norm does not fit.
        """
        if output_fmt not in ('NCHW', 'NLC'):
            raise InputError(f"output_fmt={output_fmt!r} is unknown. Choose 'NCHW' or 'NLC'")
        stages = list(self.backbone._stages())
        taken = self._take(indices)
        with record_stages(stages, taken) as found:
            tokens = self.forward_features(x)
        outputs: list[Any] = []
        for i in taken:
            kept = found[i]
            if norm:
                if self.backbone.norm is None:
                    raise InputError('norm=True: the last norm was left out. Pass norm=False')
                if kept.shape[2] != self.num_features:
                    raise InputError(
                        f'norm=True: stage {i} has {kept.shape[2]} channels, but the last norm '
                        f'{self.num_features}. Pass norm=False, or only the last stage'
                    )
                kept = self.backbone.norm(kept)
            prefix, kept = kept[:, : self.num_prefix_tokens], kept[:, self.num_prefix_tokens :]
            if output_fmt == 'NCHW':
                divisor, stride = self.backbone.pad_divisor, self.feature_info[i]['reduction']
                height, width = (
                    count_tiles(count_tiles(side, divisor) * divisor, stride)
                    for side in x.shape[2:]
                )
                kept = to_map(kept, (height, width)).contiguous()
            outputs.append((kept, prefix) if return_prefix_tokens else kept)
        return outputs if intermediates_only else (tokens, outputs)

    def prune_intermediate_layers(
        self,
        indices: int | Sequence[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Leave out what :meth:`forward_intermediates` does not need for these indices.

        Args:
            indices: As there.
            prune_norm: Leave out the last norm. It is always left out if its width does not fit.
            prune_head: Leave out the classifier and the pooling.

        Returns:
            The indices as numbers from 0.
        """
        taken = self._take(indices)
        _keep_stages(self.backbone, max(taken) + 1)
        self.num_features = self.head_hidden_size = self.embed_dim = self.backbone.embed_dims
        norm = self.backbone.norm
        if prune_norm or (norm is not None and norm.weight.numel() != self.num_features):
            self.backbone.norm = None
        if prune_head:
            self.reset_classifier(0, '')
        return taken

    def _take(self, indices: int | Sequence[int] | None) -> list[int]:
        """Return blocks (PyramidTNT: stages) as numbers from 0; a number means the last ones."""
        numbers = range(len(list(self.backbone._stages())))
        if indices is None:
            return list(numbers)
        if isinstance(indices, int):
            if 0 < indices <= len(numbers):
                return list(numbers[-indices:])
        elif indices and all(-len(numbers) <= i < len(numbers) for i in indices):
            return [numbers[i] for i in indices]
        raise InputError(
            f'indices={indices!r} must be numbers from 0 to {len(numbers) - 1}, or one number from '
            f'1 to {len(numbers)} for the last ones'
        )


def _keep_stages(backbone: Any, count: int) -> None:
    """Leave out all stages of a backbone after the first ones."""
    del backbone._stages()[count:]
    plan = backbone.plan
    backbone.plan = replace(plan, taps=tuple(min(tap, count - 1) for tap in plan.taps))
    backbone.num_layers = count
    if isinstance(backbone, PyramidTNT):
        backbone.depths = backbone.depths[:count]
        backbone.num_layers = sum(backbone.depths)
        backbone.embed_dims = backbone.variant.sentence_dims[count - 1]
        backbone.out_channels = (backbone.embed_dims,)
        backbone.out_strides = (SENTENCE_STRIDE * 2 ** (count - 1),)


def _describe_stages(backbone: Any) -> list[dict[str, Any]]:
    """Return timm's ``feature_info``: channels and stride of the tokens behind each stage."""
    stages = list(backbone._stages())
    widths, strides = backbone.out_channels * len(stages), backbone.out_strides * len(stages)
    if isinstance(backbone, PyramidTNT):
        widths = [stage.blocks[0].sentence_block.norm1.weight.numel() for stage in stages]
        strides = [SENTENCE_STRIDE * 2**i for i in range(len(stages))]
    return [
        {'num_chs': width, 'reduction': stride, 'module': f'stages.{i}'}
        for i, (width, stride) in enumerate(zip(widths, strides, strict=True))
    ]


def _describe(family: Any, arch: str, published: str) -> dict[str, Any]:
    """Return timm's ``pretrained_cfg``: what the images must be like for these weights."""
    weights = PUBLISHED.get(published, PUBLISHED[FAMILIES[family].weights])
    side = getattr(family.VARIANTS[arch], 'img_size', weights.img_size)
    return {
        'input_size': (3, side, side),
        'mean': tuple(round(value / 255, 6) for value in weights.mean),
        'std': tuple(round(value / 255, 6) for value in weights.std),
        'interpolation': 'bicubic',
        'crop_pct': CROP_PCT,
        'num_classes': 1000,
        'classifier': 'head',
        'first_conv': FAMILIES[family].first_conv,
        'file': SCHEME + published if published in PUBLISHED else None,
    }


def _without_head(pretrained_cfg: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in pretrained_cfg.items()
        if key not in ('num_classes', 'classifier', 'global_pool')
    }


def _build(
    family: Any,
    arch: str,
    *,
    published: str,
    pretrained: bool = False,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: dict[str, Any] | None = None,
    features_only: bool = False,
    feature_cls: str | None = None,
    num_classes: int = 1000,
    in_chans: int = 3,
    global_pool: str | None = None,
    out_indices: int | Sequence[int] | None = None,
    output_stride: int | None = None,
    cache_dir: str | None = None,
    scriptable: bool | None = None,
    **options: Any,
) -> nn.Module:
    """Build what ``timm.create_model`` asks for, in timm's words."""
    if cache_dir is not None:
        raise InputError(f'cache_dir={cache_dir!r} has no effect. Set TORCH_HOME instead')
    described = resolve_pretrained_cfg(
        PREFIX + published, pretrained_cfg, pretrained_cfg_overlay
    ).to_dict()
    checkpoint = described.get('file')
    if pretrained and checkpoint is None:
        raise InputError(
            f'pretrained=True: no weights of {published} were published. Leave it out, or pass '
            "pretrained_cfg_overlay=dict(file='weights.pth')"
        )
    if wrong := explain_unknown(family, options):
        raise InputError(wrong)
    options['in_channels'] = in_chans
    if feature_cls not in (None, 'getter'):
        raise InputError(
            f"feature_cls={feature_cls!r} is unknown. Pass 'getter' for the tokens of blocks, or "
            'leave it out for the pyramid'
        )
    if output_stride is not None:
        if not features_only or feature_cls is not None or 'out_strides' in options:
            raise InputError(
                f'output_stride={output_stride!r} is the coarsest stride of the maps of '
                'features_only=True. Leave out feature_cls and out_strides, or output_stride'
            )
        check_sizes(output_stride=output_stride)
        strides = inspect.signature(family).parameters['out_strides'].default
        options['out_strides'] = tuple(min(stride, output_stride) for stride in strides)
    model: Features | Classifier
    if features_only and feature_cls is None:
        model = Features(family(arch, out_indices=out_indices, **options), described)
    else:
        if features_only:
            num_classes, global_pool = 0, ''
        backbone = family(arch, out_type='raw', **options)
        model = Classifier(backbone, described, num_classes, global_pool)
    if pretrained:
        # as timm, which adapts the first layer to the channels of the image
        load_pretrained(model.backbone, checkpoint, adapt_in_channels=in_chans != 3)
        if isinstance(model, Classifier) and isinstance(model.head, nn.Linear):
            head = to_ours(read_tensors(resolve_checkpoint(checkpoint))).head
            if head and head['weight'].shape == model.head.weight.shape:
                model.head.load_state_dict(head)
    if features_only and isinstance(model, Classifier):
        from timm.models._features import FeatureGetterNet  # of the versions that have it

        getter = FeatureGetterNet(model, out_indices=3 if out_indices is None else out_indices)
        getter.pretrained_cfg = getter.default_cfg = _without_head(model.default_cfg)
        return getter
    return model


def _register(family: Any, arch: str, published: str) -> None:
    def create(
        pretrained: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> nn.Module:
        with nullcontext() if device is None else torch.device(device):
            model = _build(family, arch, published=published, pretrained=pretrained, **options)
        return model if dtype is None else model.to(dtype=dtype)

    create.__name__ = create.__qualname__ = PREFIX + published
    create.__module__ = __name__
    register_model(create)


default_cfgs = generate_default_cfgs(
    {
        f'{PREFIX}{row.prefix}_{arch}': _describe(family, arch, f'{row.prefix}_{arch}')
        for family, row in FAMILIES.items()
        for arch in family.VARIANTS
    }
)
for _family, _row in FAMILIES.items():
    # torch.fx cannot follow a forward that depends on the size of the image
    register_notrace_module(_family)
    for _arch in _family.VARIANTS:
        _register(_family, _arch, f'{_row.prefix}_{_arch}')
