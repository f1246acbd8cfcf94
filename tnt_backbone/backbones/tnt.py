"""TNT: Transformer in Transformer (https://arxiv.org/abs/2103.00112).

Source: https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/tnt.py.
Differences: feature maps instead of a class, any input size, no in-place operations, no unused
``outer_tokens``, windows for large images.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..layers import (
    TransformerBlock,
    WordBlock,
    WordEmbed,
    WordToSentence,
    resize_position_table,
    to_word_map,
)
from ..layers.drop_path import rising_rates
from ..variants import TNT_VARIANTS, TNTVariant, get_variant
from .arguments import check_blocks, check_rates, check_sizes, parse_img_size, spread_taps
from .base import TokenBackbone
from .outputs import Tap, plan_outputs

FORMULATIONS = ('official', 'legacy')


class TNTBlock(nn.Module):
    """A TNT block, words then sentences: ``(B*N, M, c), (B, 1+N, d) -> the same shapes``.

    Args:
        variant: Dimensions.
        num_words: Words ``M`` in a sentence.
        formulation: ``'official'`` or ``'legacy'``. They have different norms around the projection
            of the words.
        has_words: Whether the block has an inner transformer. Without it only sentences change.
        se: Add squeeze and excitation to the outer transformer.
        window_size: Windows of the outer attention; ``None`` for global attention.
        class_token_only: Return only the class token of the sentences: ``(B, 1, d)``.
        inner_backend: Of :class:`WordBlock`.
        rates: ``drop_rate``, ``attn_drop_rate`` and ``drop_path`` of both transformers.
    """

    def __init__(
        self,
        variant: TNTVariant,
        *,
        num_words: int,
        formulation: str,
        has_words: bool,
        se: bool,
        window_size: int | None = None,
        class_token_only: bool = False,
        inner_backend: str | None = None,
        **rates: float,
    ) -> None:
        super().__init__()
        shared: dict[str, Any] = {
            'mlp_ratio': variant.mlp_ratio,
            'qkv_bias': variant.qkv_bias,
            **rates,
        }
        legacy = formulation == 'legacy'
        self.word_block = (
            WordBlock(variant.word_dims, variant.word_heads, backend=inner_backend, **shared)
            if has_words
            else None
        )
        self.word_to_sentence = (
            WordToSentence(
                num_words,
                variant.word_dims,
                variant.sentence_dims,
                norm_each_word=legacy,
                bias=legacy,
                post_norm=not legacy,
            )
            if has_words
            else None
        )
        self.sentence_block = TransformerBlock(
            variant.sentence_dims,
            variant.sentence_heads,
            se=se,
            window_size=window_size,
            class_token_only=class_token_only,
            **shared,
        )

    def forward(
        self, words: Tensor, sentences: Tensor, grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return new words and sentences of a ``(h, w)`` grid; the inputs are not changed."""
        if self.word_block is not None and self.word_to_sentence is not None:
            words = self.word_block(words)  # Eq. 6, 7
            cls_token, sentences = sentences[:, :1], sentences[:, 1:]
            update = self.word_to_sentence(words).reshape(sentences.shape)  # (B, N, d)
            sentences = torch.cat((cls_token, sentences + update), dim=1)  # Eq. 8
        return words, self.sentence_block(sentences, grid)  # Eq. 9, 10


class TNT(TokenBackbone):
    """Transformer in Transformer: ``(B, 3, H, W) -> tuple of (B, C_i, ceil(H/s_i), ceil(W/s_i))``.

    The default widths and strides are those of a ResNet-50: ``C = (256, 512, 1024, 2048)``,
    ``s = (4, 8, 16, 32)``.

    Args:
        arch: ``'ti'``/``'tiny'``, ``'s'``/``'small'``, ``'b'``/``'base'``, or a dict with the
            fields of :class:`tnt_backbone.variants.TNTVariant`.
        formulation: ``'official'`` (the authors' code, timm's ``tnt_*_patch16_224``) or
            ``'legacy'`` (timm's ``tnt_s_legacy_*``, mmpretrain's ``TNT``). The weights of one do
            not fit the other.
        img_size: Size ``(H, W)`` or side in pixels for which the position table is made, the
            pretraining size. Images may have any other size: the table is resized.
        patch_size: Side of a sentence in pixels.
        word_stride: Side of a word in pixels; divides ``patch_size``.
        in_channels: Channels of the image.
        out_type: ``'pyramid'``: feature maps. ``'cls_token'`` and ``'avg_featmap'``: ``(B, d)``
            vectors; ``'featmap'``: ``(B, d, h, w)`` maps of sentences; ``'raw'``: ``(B, 1+N, d)``
            tokens, the class token first. For ``'cls_token'`` the last block computes only the
            class token.
        out_indices: Levels to return, counted from 0, in this order. Default: all levels of a
            pyramid, otherwise the last.
        out_channels: Channels of each level of the pyramid; ``None`` keeps the native width, ``d``.
        out_strides: Stride of each level of the pyramid in pixels.
        taps: For each level the block that feeds it, counted from 0. Default: spread evenly, which
            is ``(2, 5, 8, 11)`` of 12 (the paper's A.3). Blocks after the last tap in use are not
            built.
        word_pyramid: Levels that are finer than the sentences also read the words of their tap.
        inner_blocks: Blocks with an inner transformer, counted from 0; default: all. The paper's
            Table 5: TNT-S-1 is ``(0, 3, 7, 11)``.
        se: Add squeeze and excitation to the outer transformers.
        window_size: Side of the windows of the outer attention, in sentences, for large images. The
            weights are those of global attention. Default: all blocks are global.
        global_blocks: The blocks that stay global if ``window_size`` is set, counted from 0.
            Default: four, spread evenly, as in ViTDet.
        drop_rate: Dropout of embeddings and projections, in [0, 1).
        attn_drop_rate: Dropout of attention weights, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1); it rises linearly from 0.
        frozen_stages: -1 freezes nothing, 0 the embedding, ``k`` the first ``k`` blocks too.
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

    VARIANTS = TNT_VARIANTS

    def __init__(
        self,
        arch: str | dict[str, Any] = 's',
        *,
        formulation: str = 'official',
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        word_stride: int = 4,
        in_channels: int = 3,
        out_type: str = 'pyramid',
        out_indices: int | Sequence[int] | None = None,
        out_channels: Sequence[int] | None = (256, 512, 1024, 2048),
        out_strides: Sequence[int] = (4, 8, 16, 32),
        taps: Sequence[int] | None = None,
        word_pyramid: bool = False,
        inner_blocks: Sequence[int] | None = None,
        se: bool = False,
        window_size: int | None = None,
        global_blocks: Sequence[int] | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        inner_backend: str | None = None,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg, pretrained=pretrained)
        variant = get_variant(arch, self.VARIANTS)
        if formulation not in FORMULATIONS:
            raise InputError(
                f'formulation={formulation!r} is unknown. Choose one of {FORMULATIONS}'
            )
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        check_sizes(in_channels=in_channels, patch_size=patch_size, word_stride=word_stride)
        if patch_size % word_stride:
            raise InputError(
                f'word_stride={word_stride} must divide patch_size={patch_size} (both in pixels)'
            )
        height, width = parse_img_size(img_size, patch_size)
        all_blocks = range(variant.depth)
        has_words = check_blocks(
            'inner_blocks', all_blocks if inner_blocks is None else inner_blocks, variant.depth
        )
        is_global = _plan_windows(window_size, global_blocks, variant.depth)

        self.variant = variant
        self.formulation = formulation
        self.word_pyramid = word_pyramid
        self.in_channels = in_channels
        self.patch_size = self.pad_divisor = patch_size
        self.words_per_side = patch_size // word_stride
        self.grid = (height // patch_size, width // patch_size)
        self.embed_dims = variant.sentence_dims
        all_taps = spread_taps(taps, variant.depth)
        plan = plan_outputs(variant.depth, all_taps, out_type, out_indices, self.OUT_TYPES)
        self.num_layers = plan.num_stages

        num_words = self.words_per_side**2
        num_sentences = self.grid[0] * self.grid[1]
        self.word_embed = WordEmbed(
            in_channels,
            variant.word_dims,
            patch_size,
            word_stride,
            per_sentence=formulation == 'official',
        )
        self.word_pos = nn.Parameter(torch.zeros(1, num_words, variant.word_dims))
        self.word_to_sentence = WordToSentence(num_words, variant.word_dims, variant.sentence_dims)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, variant.sentence_dims))
        self.sentence_pos = nn.Parameter(torch.zeros(1, 1 + num_sentences, variant.sentence_dims))
        self.pos_drop = nn.Dropout(drop_rate)
        drop_paths = rising_rates(drop_path_rate, variant.depth)
        self.blocks = nn.ModuleList(
            TNTBlock(
                variant,
                num_words=num_words,
                formulation=formulation,
                has_words=i in has_words,
                se=se,
                window_size=None if i in is_global else window_size,
                # nothing else is read, except by the gate
                class_token_only=out_type == 'cls_token' and i == self.num_layers - 1 and not se,
                inner_backend=inner_backend,
                drop_rate=drop_rate,
                attn_drop_rate=attn_drop_rate,
                drop_path=drop_paths[i],
            )
            for i in range(self.num_layers)
        )
        self._complete(
            plan,
            in_channels=(self.embed_dims,) * len(plan.taps),
            in_strides=(patch_size,) * len(plan.taps),
            out_channels=out_channels,
            out_strides=out_strides,
            word_channels=variant.word_dims if word_pyramid else None,
            word_stride=word_stride,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
        )

    def _embedding(self) -> Iterable[nn.Module | nn.Parameter]:
        return (
            self.word_embed,
            self.word_pos,
            self.word_to_sentence,
            self.cls_token,
            self.sentence_pos,
            self.pos_drop,
        )

    def _stages(self) -> Iterable[nn.Module]:
        return self.blocks

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs that ``out_type`` and ``out_indices`` name.

        Args:
            image: ``(B, C, H, W)``, normalised, of any size from 1x1.
        """
        padded = self._pad(image)
        batch, _, height, width = image.shape
        grid = (padded.shape[-2] // self.patch_size, padded.shape[-1] // self.patch_size)

        words = self.word_embed(padded) + self.word_pos  # (B*N, M, c)
        sentences = self.word_to_sentence(words).unflatten(0, (batch, grid[0] * grid[1]))
        cls_token = self.cls_token.expand(batch, -1, -1)
        sentences = torch.cat((cls_token, sentences), dim=1)  # (B, 1+N, d)
        sentence_pos = resize_position_table(self.sentence_pos, self.grid, grid)
        sentences = self.pos_drop(sentences + sentence_pos)

        tapped = {}
        for i, block in enumerate(self.blocks):
            words, sentences = self._run(block, words, sentences, grid)
            if i in self.plan.used_taps:
                side = self.words_per_side
                word_map = to_word_map(words, grid, side) if self.word_pyramid else None
                tapped[i] = Tap(sentences, grid, word_map)
        return self._format_outputs(tapped, (height, width), image.dtype)


def _plan_windows(
    window_size: int | None, global_blocks: Sequence[int] | None, depth: int
) -> set[int]:
    """Return the blocks with global attention."""
    if window_size is None:
        if global_blocks is not None:
            raise InputError(
                f'global_blocks={global_blocks!r} has no effect without window_size, because all '
                'blocks are global. Set window_size, or leave global_blocks out'
            )
        return set(range(depth))
    check_sizes(window_size=window_size)
    if global_blocks is None:
        return set(spread_taps(None, depth))
    return set(check_blocks('global_blocks', global_blocks, depth))
