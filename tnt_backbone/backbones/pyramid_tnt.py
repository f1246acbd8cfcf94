"""PyramidTNT (https://arxiv.org/abs/2201.00978): TNT in four stages with a convolutional stem.

Source: https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/pyramid_tnt.py.
Differences: feature maps instead of a class, any input size (the authors' class has a fixed size),
no in-place operations.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import InputError
from ..layers import (
    ConvStem,
    SentenceAggregation,
    SpatialReductionAttention,
    TransformerBlock,
    WordAggregation,
    WordBlock,
    WordToSentence,
    factor_relative_position,
    resize_position_table,
)
from ..layers.conv_stem import SENTENCE_STRIDE, WORDS_PER_SIDE
from ..layers.drop_path import rising_rates
from ..layers.relative_position import Factors
from ..layers.tiles import count_tiles
from ..variants import PYRAMID_TNT_VARIANTS, PyramidTNTVariant, get_variant
from .arguments import check_rates, check_sizes, parse_img_size
from .base import TokenBackbone
from .outputs import Tap, plan_outputs

NUM_STAGES = 4
# Pixels. The stages' squares of `sr_ratios` must fill their grids: 8 * 4, 16 * 2, 32, and the last
# stage rounds up.
PAD_DIVISOR = 32

Grid = tuple[int, int]


class PyramidTNTBlock(nn.Module):
    """A block, words then sentences: ``(B*N, 16, c), (B, N, d) -> the same shapes``.

    Args:
        variant: Dimensions.
        stage: The stage, from 0.
        has_words: Whether the block has an inner transformer. Without it only sentences change.
        inner_backend: Of :class:`WordBlock`.
        rates: ``drop_rate``, ``attn_drop_rate`` and ``drop_path`` of both transformers.
    """

    def __init__(
        self,
        variant: PyramidTNTVariant,
        stage: int,
        *,
        has_words: bool,
        inner_backend: str | None,
        **rates: float,
    ) -> None:
        super().__init__()
        words, word_dims = WORDS_PER_SIDE**2, variant.word_dims[stage]
        dims, heads = variant.sentence_dims[stage], variant.sentence_heads[stage]
        shared: dict[str, Any] = {
            'mlp_ratio': variant.mlp_ratio,
            'qkv_bias': variant.qkv_bias,
            **rates,
        }
        self.word_block: nn.Module | None = None
        self.word_to_sentence: nn.Module | None = None
        if has_words:
            # The norms take all words of a sentence together, unlike TNT's.
            self.word_block = WordBlock(
                word_dims,
                variant.word_heads[stage],
                backend=inner_backend,
                norm_shape=[words, word_dims],
                **shared,
            )
            self.word_to_sentence = WordToSentence(words, word_dims, dims, bias=False)
        attn = SpatialReductionAttention(
            dims,
            heads,
            variant.sr_ratios[stage],
            qkv_bias=variant.qkv_bias,
            attn_drop_rate=rates['attn_drop_rate'],
            drop_rate=rates['drop_rate'],
        )
        self.sentence_block = TransformerBlock(dims, heads, attn=attn, **shared)

    def forward(
        self, words: Tensor, sentences: Tensor, grid: Grid, position: Factors
    ) -> tuple[Tensor, Tensor]:
        """Return new words and sentences of a ``(h, w)`` grid; the inputs are not changed."""
        if self.word_block is not None and self.word_to_sentence is not None:
            words = self.word_block(words)
            sentences = sentences + self.word_to_sentence(words).reshape(sentences.shape)
        return words, self.sentence_block(sentences, grid, position)


class PyramidTNTStage(nn.Module):
    """A stage: ``(B*N, 16, c), (B, N, d), (h, w) -> the same for its own grid``.

    From the second stage on, four sentences first become one. So the grid halves, rounded up.

    Args:
        variant: Dimensions.
        stage: The stage, from 0.
        grid: ``(h, w)`` of its sentences at the pretraining size, for its position table.
        drop_paths: Stochastic depth of each block.
        inner_backend: Of :class:`WordBlock`.
        rates: ``drop_rate`` and ``attn_drop_rate``.
    """

    def __init__(
        self,
        variant: PyramidTNTVariant,
        stage: int,
        *,
        grid: Grid,
        drop_paths: Sequence[float],
        inner_backend: str | None,
        **rates: float,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.sr_ratio = variant.sr_ratios[stage]
        self.word_merge: WordAggregation | None = None
        self.sentence_merge: SentenceAggregation | None = None
        if stage > 0:
            self.word_merge = WordAggregation(
                variant.word_dims[stage - 1], variant.word_dims[stage], WORDS_PER_SIDE
            )
            self.sentence_merge = SentenceAggregation(
                variant.sentence_dims[stage - 1], variant.sentence_dims[stage]
            )
        key_grid = self._key_grid(grid)
        self.relative_pos = nn.Parameter(
            torch.zeros(
                1, variant.sentence_heads[stage], grid[0] * grid[1], key_grid[0] * key_grid[1]
            )
        )
        depth = variant.depths[stage]
        self.blocks = nn.ModuleList(
            PyramidTNTBlock(
                variant,
                stage,
                has_words=i == 0 or (i == 1 and depth > 6),  # as the authors do
                drop_path=drop_paths[i],
                inner_backend=inner_backend,
                **rates,
            )
            for i in range(depth)
        )

    def _key_grid(self, grid: Grid) -> Grid:
        return grid[0] // self.sr_ratio, grid[1] // self.sr_ratio

    @torch.no_grad()
    def resize_relative_pos(self, table: Tensor, grid: Grid, key_grid: Grid) -> Tensor:
        """Return a table resized to this stage's grids: ``(1, heads, h*w, hk*wk)``."""
        queries, keys = factor_relative_position(
            table, grid, key_grid, self.grid, self._key_grid(self.grid)
        )
        return (queries if keys is None else queries @ keys.T).unsqueeze(0)

    def forward(
        self, words: Tensor, sentences: Tensor, grid: Grid, run: Callable[..., Any]
    ) -> tuple[Tensor, Tensor, Grid]:
        """Return words, sentences and grid after this stage.

        Args:
            words: ``(B*N, 16, c)`` of the previous stage.
            sentences: ``(B, N, d)`` of the previous stage.
            grid: ``(h, w)`` of the previous stage.
            run: Calls a block, with or without gradient checkpointing.

        Returns:
            Words, sentences and grid of this stage.
        """
        if self.word_merge is not None and self.sentence_merge is not None:
            words, sentences = self.word_merge(words, grid), self.sentence_merge(sentences, grid)
            grid = (count_tiles(grid[0], 2), count_tiles(grid[1], 2))
        position = factor_relative_position(
            self.relative_pos, self.grid, self._key_grid(self.grid), grid, self._key_grid(grid)
        )
        for block in self.blocks:
            words, sentences = run(block, words, sentences, grid, position)
        return words, sentences, grid


class PyramidTNT(TokenBackbone):
    """PyramidTNT: ``(B, 3, H, W) -> tuple of (B, C_i, ceil(H/s_i), ceil(W/s_i))``.

    The default widths and strides are those of a ResNet-50: ``C = (256, 512, 1024, 2048)``,
    ``s = (4, 8, 16, 32)``. The stages have strides 8, 16, 32 and 64. As in the paper's detectors, a
    transposed convolution doubles the size of each map.

    Args:
        arch: ``'ti'``/``'tiny'``, ``'s'``/``'small'``, ``'m'``, ``'b'``/``'base'``, or a dict with
            the fields of :class:`tnt_backbone.variants.PyramidTNTVariant`.
        img_size: Size ``(H, W)`` or side in pixels for which the position tables are made, the
            pretraining size. Default: that of the variant (192 for Ti, otherwise 256). Images may
            have any other size: the tables are resized.
        in_channels: Channels of the image.
        out_type: ``'pyramid'``: feature maps. ``'avg_featmap'``: ``(B, d)`` vectors, with which the
            authors classify; ``'featmap'``: ``(B, d, h, w)`` maps of sentences; ``'raw'``:
            ``(B, N, d)`` sentences. There is no class token.
        out_indices: Stages to return, counted from 0, in this order. Default: all in a pyramid,
            otherwise the last. Stages after the last one in use are not built.
        out_channels: Channels of each level of the pyramid; ``None`` keeps the stage's.
        out_strides: Stride of each level of the pyramid in pixels; ``(8, 16, 32, 64)`` are the
            stages' own.
        drop_rate: Dropout of position tables and projections, in [0, 1).
        attn_drop_rate: Dropout of attention weights, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1); it rises linearly from 0.
        frozen_stages: -1 freezes nothing, 0 the stem, ``k`` the first ``k`` stages too.
        norm_eval: Keep the stem's BatchNorm in evaluation mode during training, for small batches.
        with_cp: Recompute each block in the backward pass, to save memory.
        inner_backend: How the inner transformers are computed: ``'reference'`` (plain PyTorch),
            ``'native'`` (C++), ``'chunked'`` or ``'triton'``; default: what suits the device, see
            :func:`tnt_backbone.ops.choose_backend`. The weights are the same.
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

    VARIANTS = PYRAMID_TNT_VARIANTS
    OUT_TYPES = ('pyramid', 'avg_featmap', 'featmap', 'raw')
    pad_divisor = PAD_DIVISOR

    def __init__(
        self,
        arch: str | dict[str, Any] = 's',
        *,
        img_size: int | Sequence[int] | None = None,
        in_channels: int = 3,
        out_type: str = 'pyramid',
        out_indices: int | Sequence[int] | None = None,
        out_channels: Sequence[int] | None = (256, 512, 1024, 2048),
        out_strides: Sequence[int] = (4, 8, 16, 32),
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        inner_backend: str | None = None,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg, pretrained=pretrained)
        variant = get_variant(arch, self.VARIANTS)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        check_sizes(in_channels=in_channels)
        _check_sr_ratios(variant.sr_ratios)
        height, width = parse_img_size(
            variant.img_size if img_size is None else img_size, PAD_DIVISOR
        )
        grid = (
            count_tiles(height, PAD_DIVISOR) * PAD_DIVISOR // SENTENCE_STRIDE,
            count_tiles(width, PAD_DIVISOR) * PAD_DIVISOR // SENTENCE_STRIDE,
        )

        self.variant = variant
        self.in_channels = in_channels
        self.norm_eval = norm_eval
        self.grid = grid
        self.embed_dims = variant.sentence_dims[-1]
        plan = plan_outputs(NUM_STAGES, range(NUM_STAGES), out_type, out_indices, self.OUT_TYPES)
        self.depths = variant.depths[: plan.num_stages]
        self.num_layers = sum(self.depths)

        self.stem = ConvStem(in_channels, variant.word_dims[0], variant.sentence_dims[0])
        self.word_pos = nn.Parameter(torch.zeros(1, WORDS_PER_SIDE**2, variant.word_dims[0]))
        self.sentence_pos = nn.Parameter(
            torch.zeros(1, grid[0] * grid[1], variant.sentence_dims[0])
        )
        self.pos_drop = nn.Dropout(drop_rate)
        drop_paths = rising_rates(drop_path_rate, sum(variant.depths))
        self.stages = nn.ModuleList()
        for stage, depth in enumerate(self.depths):
            first = sum(self.depths[:stage])
            self.stages.append(
                PyramidTNTStage(
                    variant,
                    stage,
                    grid=grid,
                    drop_paths=drop_paths[first : first + depth],
                    inner_backend=inner_backend,
                    drop_rate=drop_rate,
                    attn_drop_rate=attn_drop_rate,
                )
            )
            grid = (count_tiles(grid[0], 2), count_tiles(grid[1], 2))
        self._complete(
            plan,
            in_channels=variant.sentence_dims,
            in_strides=[SENTENCE_STRIDE * 2**stage for stage in range(NUM_STAGES)],
            out_channels=out_channels,
            out_strides=out_strides,
            smooth=True,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
        )

    def _init_module(self, module: nn.Module) -> None:
        """Initialise as the authors do: He for convolutions, a normal (std 1) for relative_pos."""
        super()._init_module(module)
        if isinstance(module, PyramidTNTStage):
            nn.init.normal_(module.relative_pos)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            in_pyramid = set() if self.pyramid is None else set(self.pyramid.modules())
            if module not in in_pyramid:
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
                nn.init.zeros_(module.bias)

    def _embedding(self) -> Iterable[nn.Module | nn.Parameter]:
        return self.stem, self.word_pos, self.sentence_pos, self.pos_drop

    def _stages(self) -> Iterable[nn.Module]:
        return self.stages

    def _depth_of(self, name: str) -> int:
        match = re.match(r'stages\.(\d+)\.(?:blocks\.(\d+)\.)?', name)
        # What is before a stage's blocks counts as its first block.
        return sum(self.depths[: int(match[1])]) + int(match[2] or 0) + 1 if match else 0

    def _resize_tables(
        self, tensors: Mapping[str, Tensor], prefix: str, grid: Grid
    ) -> dict[str, Tensor]:
        """Return resized position tables, including those of the stages for queries and keys."""
        resized = super()._resize_tables(tensors, prefix, grid)
        stage: Any
        for i, stage in enumerate(self.stages):
            key_grid = (grid[0] // stage.sr_ratio, grid[1] // stage.sr_ratio)
            name = f'{prefix}stages.{i}.relative_pos'
            found = tensors.get(name)
            rows = (math.prod(grid), math.prod(key_grid))
            if found is not None and tuple(found.shape[2:]) == rows:  # else the report names it
                resized[name] = stage.resize_relative_pos(found, grid, key_grid)
            grid = (count_tiles(grid[0], 2), count_tiles(grid[1], 2))
        return resized

    def train(self, mode: bool = True) -> 'PyramidTNT':
        """Set the training mode; frozen stages, and BatchNorm with ``norm_eval``, keep theirs."""
        super().train(mode)
        if self.norm_eval:
            for module in self.stem.modules():
                if isinstance(module, _BatchNorm):  # SyncBatchNorm and mmengine's, too
                    module.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs that ``out_type`` and ``out_indices`` name.

        Args:
            image: ``(B, C, H, W)``, normalised, of any size from 1x1.
        """
        padded = self._pad(image)
        height, width = image.shape[-2:]
        grid = (padded.shape[-2] // SENTENCE_STRIDE, padded.shape[-1] // SENTENCE_STRIDE)

        words, sentences = self.stem(padded)  # (B*N, 16, c), (B, N, d)
        words = words + self.word_pos
        sentence_pos = resize_position_table(self.sentence_pos, self.grid, grid)
        sentences = sentences + self.pos_drop(sentence_pos)

        tapped = {}
        for i, stage in enumerate(self.stages):
            words, sentences, grid = stage(words, sentences, grid, self._run)
            if i in self.plan.used_taps:
                tapped[i] = Tap(sentences, grid)
        return self._format_outputs(tapped, (height, width), image.dtype)


def _check_sr_ratios(sr_ratios: Sequence[int]) -> None:
    """Check that no sentence at the right or bottom edge is left without a key."""
    for stage, ratio in enumerate(sr_ratios):
        side = max(PAD_DIVISOR // SENTENCE_STRIDE >> stage, 1)  # of the smallest grid
        if side % ratio:
            raise InputError(
                f"arch['sr_ratios']={tuple(sr_ratios)}: entry {stage} is {ratio}, but must divide "
                f'{side}, the side of the smallest grid of stage {stage}'
            )
