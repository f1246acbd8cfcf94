"""T2T-ViT: Tokens-to-Token ViT (https://arxiv.org/abs/2101.11986).

Source: https://github.com/yitu-opensource/T2T-ViT/blob/0f63dc9/models/t2t_vit.py.
Differences: feature maps instead of a class, any input size (the authors' token module needs
squares of a fixed size), the Performer computes in fp32 under autocast.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..layers import (
    SoftSplit,
    TokenPerformer,
    TokenTransformer,
    TransformerBlock,
    resize_position_table,
    sinusoid_table,
)
from ..layers.drop_path import rising_rates
from ..variants import T2T_VIT_VARIANTS, T2TViTVariant, get_variant
from .arguments import check_rates, check_sizes, parse_img_size, spread_taps
from .base import TokenBackbone
from .outputs import Tap, plan_outputs

PATCH_SIZE = 16  # pixels; the soft splits step by 4, 2 and 2
SPLITS = {
    'split1': -2,
    'split2': -1,
}  # names of taps in the token module: what comes before block 0
SPLIT_STRIDES = {-2: 4, -1: 8}  # pixels

Grid = tuple[int, int]


class TokensToToken(nn.Module):
    """The token module: ``(B, C, H, W) -> (B, H/16 * W/16, d)``.

    Each soft split turns overlapping squares of a map into tokens. Attention reduces their
    channels. The tokens then form the next map.

    Args:
        variant: Dimensions.
        in_channels: Channels ``C`` of the image.
        last: Last part to build: -2 the first attention, -1 the second attention, 0 everything.
    """

    def __init__(self, variant: T2TViTVariant, in_channels: int, last: int) -> None:
        super().__init__()
        attention = {'performer': TokenPerformer, 'transformer': TokenTransformer}
        if variant.token_attention not in attention:
            raise InputError(
                f"arch['token_attention']={variant.token_attention!r} is unknown. Choose one of "
                f'{tuple(attention)}'
            )
        dims, drop_rate = variant.token_dims, variant.token_drop_rate
        build = attention[variant.token_attention]
        self.split1 = SoftSplit(7, stride=4, padding=2)
        self.attend1 = build(in_channels * 7 * 7, dims, drop_rate=drop_rate)
        self.split2 = self.attend2 = self.split3 = self.proj = None
        if last >= -1:
            self.split2 = SoftSplit(3, stride=2, padding=1)
            self.attend2 = build(dims * 3 * 3, dims, drop_rate=drop_rate)
        if last >= 0:
            self.split3 = SoftSplit(3, stride=2, padding=1)
            self.proj = nn.Linear(dims * 3 * 3, variant.embed_dims)

    def forward(self, image: Tensor) -> dict[int, Tap]:
        """Return the tokens after each part by its number; 0 is the number of the final tokens.

        Args:
            image: ``(B, C, H, W)``; 16 divides both sides.
        """
        grid = (image.shape[-2] // 4, image.shape[-1] // 4)
        taps = {-2: Tap(self.attend1(self.split1(image)), grid)}
        if self.split2 is not None and self.attend2 is not None:
            grid = (grid[0] // 2, grid[1] // 2)
            taps[-1] = Tap(self.attend2(self.split2(taps[-2].to_map())), grid)
        if self.split3 is not None and self.proj is not None:
            grid = (grid[0] // 2, grid[1] // 2)
            taps[0] = Tap(self.proj(self.split3(taps[-1].to_map())), grid)
        return taps


class T2TViT(TokenBackbone):
    """Tokens-to-Token ViT: ``(B, 3, H, W) -> tuple of (B, C_i, ceil(H/s_i), ceil(W/s_i))``.

    The default widths and strides are those of a ResNet-50: ``C = (256, 512, 1024, 2048)``,
    ``s = (4, 8, 16, 32)``.

    Args:
        arch: ``'7'``, ``'10'``, ``'12'``, ``'14'``, ``'19'``, ``'24'`` (Performer), ``'t-14'``,
            ``'t-19'``, ``'t-24'`` (Transformer), ``'14-wide'``, ``'14-resnext'``, or a dict with
            the fields of :class:`tnt_backbone.variants.T2TViTVariant`. For large images use a
            Performer: the Transformer's time grows with the square of ``H/4 * W/4``.
        img_size: Size ``(H, W)`` or side in pixels for which the position table is made, the
            pretraining size. Images may have any other size: the table is resized.
        in_channels: Channels of the image.
        out_type: ``'pyramid'``: feature maps. ``'cls_token'`` and ``'avg_featmap'``: ``(B, d)``
            vectors; ``'featmap'``: ``(B, d, h, w)`` maps of tokens; ``'raw'``: ``(B, 1+N, d)``
            tokens, the class token first. For ``'cls_token'`` the last block computes only the
            class token.
        out_indices: Levels to return, counted from 0, in this order. Default: all levels of a
            pyramid, otherwise the last.
        out_channels: Channels of each level of the pyramid; ``None`` keeps the native widths: that
            of the token module for the soft splits, ``d`` for the blocks.
        out_strides: Stride of each level of the pyramid in pixels.
        taps: For each level what feeds it: ``'split1'`` (stride 4) or ``'split2'`` (stride 8), the
            maps within the token module, or a block, counted from 0 (stride 16). Default for a
            pyramid: ``('split1', 'split2', middle block, last block)``. Default otherwise: blocks,
            spread evenly. Blocks after the last tap in use are not built.
        drop_rate: Dropout of embeddings and projections, in [0, 1).
        attn_drop_rate: Dropout of the blocks' attention weights, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1); it rises linearly from 0.
        frozen_stages: -1 freezes nothing, 0 the token module, ``k`` the first ``k`` blocks too.
        with_cp: Recompute the token module and each block in the backward pass, to save memory.
        pretrained: Only for MMSegmentation, which passes ``model.pretrained``; elsewhere use
            ``init_cfg``. The name of another backbone's weights in a model zoo is ignored with a
            warning.
        init_cfg: As in mmengine. ``dict(type='Pretrained', checkpoint=...)`` takes a file, a URL or
            a published name, see :func:`tnt_backbone.checkpoints.load_pretrained`.

    Raises:
        ValueError: If an argument is out of its range, or if the input of ``forward`` is not a
            batch of images.
        TypeError: If an argument is unknown.
    """

    VARIANTS = T2T_VIT_VARIANTS
    POSITION_TABLE = 'token_pos'
    pad_divisor = PATCH_SIZE
    token_pos: Tensor

    def __init__(
        self,
        arch: str | dict[str, Any] = '14',
        *,
        img_size: int | Sequence[int] = 224,
        in_channels: int = 3,
        out_type: str = 'pyramid',
        out_indices: int | Sequence[int] | None = None,
        out_channels: Sequence[int] | None = (256, 512, 1024, 2048),
        out_strides: Sequence[int] = (4, 8, 16, 32),
        taps: Sequence[int | str] | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg, pretrained=pretrained)
        variant = get_variant(arch, self.VARIANTS)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        check_sizes(in_channels=in_channels)
        height, width = parse_img_size(img_size, PATCH_SIZE)

        self.variant = variant
        self.in_channels = in_channels
        self.grid = (height // PATCH_SIZE, width // PATCH_SIZE)
        self.embed_dims = variant.embed_dims
        all_taps = _parse_taps(taps, variant.depth, out_type)
        plan = plan_outputs(variant.depth, all_taps, out_type, out_indices, self.OUT_TYPES)
        last_tap = max(plan.used_taps)
        self.num_layers = plan.num_stages

        self.tokens_to_token = TokensToToken(variant, in_channels, min(last_tap, 0))
        self.cls_token: nn.Parameter | None = None
        self.pos_drop = nn.Dropout(drop_rate)
        if last_tap >= 0:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, variant.embed_dims))
            num_tokens = 1 + self.grid[0] * self.grid[1]
            self.register_buffer('token_pos', torch.empty(1, num_tokens, variant.embed_dims))
        drop_paths = rising_rates(drop_path_rate, variant.depth)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                variant.embed_dims,
                variant.num_heads,
                mlp_ratio=variant.mlp_ratio,
                qkv_bias=variant.qkv_bias,
                class_token_only=out_type == 'cls_token' and i == self.num_layers - 1,
                drop_rate=drop_rate,
                attn_drop_rate=attn_drop_rate,
                drop_path=drop_paths[i],
            )
            for i in range(self.num_layers)
        )
        self._complete(
            plan,
            in_channels=[variant.token_dims if tap < 0 else self.embed_dims for tap in plan.taps],
            in_strides=[SPLIT_STRIDES.get(tap, PATCH_SIZE) for tap in plan.taps],
            out_channels=out_channels,
            out_strides=out_strides,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
        )

    def _embedding(self) -> Iterable[nn.Module | nn.Parameter]:
        yield self.tokens_to_token
        yield self.pos_drop
        if self.cls_token is not None:
            yield self.cls_token

    def _stages(self) -> Iterable[nn.Module]:
        return self.blocks

    def _init_module(self, module: nn.Module) -> None:
        """Initialise as the authors do; the position table is fixed."""
        super()._init_module(module)
        if module is self and self.cls_token is not None:
            _, length, dims = self.token_pos.shape
            self.token_pos.copy_(sinusoid_table(length, dims))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs that ``out_type`` and ``out_indices`` name.

        Args:
            image: ``(B, C, H, W)``, normalised, of any size from 1x1.
        """
        padded = self._pad(image)
        height, width = image.shape[-2:]

        tapped = self._run(self.tokens_to_token, padded)
        if self.cls_token is not None:
            tokens, grid, _ = tapped.pop(0)  # (B, N, d)
            tokens = torch.cat((self.cls_token.expand(tokens.shape[0], -1, -1), tokens), dim=1)
            token_pos = resize_position_table(self.token_pos, self.grid, grid)
            tokens = self.pos_drop(tokens + token_pos)  # (B, 1+N, d)
            for i, block in enumerate(self.blocks):
                tokens = self._run(block, tokens)
                if i in self.plan.used_taps:
                    tapped[i] = Tap(tokens, grid)
        return self._format_outputs(tapped, (height, width), image.dtype)


def _parse_taps(taps: Sequence[int | str] | None, depth: int, out_type: str) -> tuple[int, ...]:
    """Return the taps as numbers; those of the token module are negative."""
    if taps is None:
        if out_type == 'pyramid':
            return (*SPLITS.values(), (depth - 1) // 2, depth - 1)
        return spread_taps(None, depth)
    names = [tap for tap in taps if isinstance(tap, str)]
    if unknown := [name for name in names if name not in SPLITS]:
        raise InputError(
            f'taps={taps}: {unknown} are unknown. Use the names {tuple(SPLITS)} or block numbers '
            f'from 0 to {depth - 1}'
        )
    if names and out_type != 'pyramid':
        raise InputError(
            f"taps={taps}: {names} are allowed only with out_type='pyramid', not with "
            f'out_type={out_type!r}. Use block numbers from 0 to {depth - 1}'
        )
    blocks = [tap for tap in taps if not isinstance(tap, str)]
    if blocks or not names:
        spread_taps(blocks, depth)
    return tuple(SPLITS[tap] if isinstance(tap, str) else tap for tap in taps)
