"""What all backbones of the package have in common: outputs, freezing, checkpointing, weights."""

import logging
import math
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..checkpoints import load_pretrained
from ..checkpoints.init_cfg import load_options, split_init_cfg
from ..layers import resize_position_table
from ..pyramid import Pyramid


class Tap(NamedTuple):
    """What is read behind a block.

    Attributes:
        tokens: ``(B, P + h*w, C)``, the ``P`` tokens without a place first.
        grid: ``(h, w)``.
        words: ``(B, c, h*k, w*k)`` map of words, where levels read words.
    """

    tokens: Tensor
    grid: tuple[int, int]
    words: Tensor | None = None

    def to_map(self) -> Tensor:
        """``(B, C, h, w)``."""
        return _to_map(self.tokens[:, -self.grid[0] * self.grid[1] :], self.grid)


class TokenBackbone(BaseModule):
    """A stem and a row of stages, some of which are tapped.

    A subclass calls :meth:`_plan_outputs` before it builds its stages (which tells how many are
    needed), :meth:`_build_outputs` and :meth:`_finish` after it has built everything, and
    :meth:`_format_outputs` at the end of ``forward``.

    Attributes:
        variant: The row of ``VARIANTS`` that was built, or what ``arch`` gave.
        embed_dims: Channels of the tokens of the last stage.
        num_layers: Blocks that were built; those behind the deepest tap would be dead weight.
        taps: For each level, the stage that feeds it, counted from 0.
        out_indices: The levels that are returned, counted from 0.
        out_channels: Channels of each returned map or vector.
        out_strides: Stride of each returned map in pixels.
    """

    VARIANTS: ClassVar[dict[str, Any]]  # the rows that ``arch`` may name, smallest first
    OUT_TYPES: ClassVar[tuple[str, ...]] = ('pyramid', 'cls_token', 'avg_featmap', 'featmap', 'raw')
    POSITION_TABLE: ClassVar[str] = 'sentence_pos'
    init_cfg: Any
    variant: Any
    grid: tuple[int, int]  # of the position table
    embed_dims: int
    num_layers: int
    in_channels: int
    pad_divisor: int  # pixels; images are padded to multiples

    def _plan_outputs(
        self,
        depth: int,
        taps: Sequence[int],
        out_type: str,
        out_indices: int | Sequence[int] | None,
    ) -> None:
        """Check and store which stages are tapped for which output.

        Args:
            depth: Stages of the variant.
            taps: A stage for each level, counted from 0.
            out_type: One of ``OUT_TYPES``.
            out_indices: Levels to return; ``None`` returns all in a pyramid, else the last.

        Raises:
            ValueError: If any of them is out of its range.
        """
        if out_type not in self.OUT_TYPES:
            raise ValueError(f'out_type={out_type!r} is not known: choose one of {self.OUT_TYPES}')
        levels = len(taps)
        if out_indices is None:
            out_indices = range(levels) if out_type == 'pyramid' else (levels - 1,)
        elif not isinstance(out_indices, Iterable):
            out_indices = (out_indices,)
        out_indices = tuple(out_indices)
        if not out_indices or any(
            not isinstance(i, int) or not -levels <= i < levels for i in out_indices
        ):
            raise ValueError(
                f'out_indices={out_indices} must name levels from 0 to {levels - 1} '
                '(levels of the pyramid, not blocks)'
            )
        self.out_indices = tuple(i % levels for i in out_indices)
        if len(set(self.out_indices)) < len(self.out_indices):
            raise ValueError(f'out_indices={out_indices} names a level twice')
        self.taps = tuple(taps)
        self.out_type = out_type
        self.tapped_stages = {self.taps[i] for i in self.out_indices}
        self.num_stages = max(self.tapped_stages) + 1
        self.is_whole = self.num_stages == depth

    def _build_outputs(
        self,
        *,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        out_channels: Sequence[int] | None,
        out_strides: Sequence[int],
        **options: Any,
    ) -> None:
        """Build the pyramid, or the final norm where tokens are returned.

        Args:
            in_channels: Channels of each level's tap.
            in_strides: Stride of each level's tap, in pixels.
            out_channels: Channels of each level of the pyramid; ``None`` keeps ``in_channels``.
            out_strides: Stride of each level of the pyramid, in pixels.
            options: Of :class:`Pyramid`.
        """
        self.pyramid: Pyramid | None = None
        self.norm: nn.Module | None = None
        if self.out_type == 'pyramid':
            self.pyramid = Pyramid(
                in_channels=in_channels,
                out_channels=out_channels,
                in_strides=in_strides,
                out_strides=out_strides,
                out_indices=self.out_indices,
                **options,
            )
            in_channels, in_strides = out_channels or in_channels, out_strides
        elif options.get('word_channels') is not None:
            raise ValueError(
                f'word_pyramid=True has no effect on out_type={self.out_type!r}: set '
                "out_type='pyramid' or leave it out"
            )
        elif self.is_whole:
            # Of the last stage alone, as in mmpretrain's ViT.
            self.norm = nn.LayerNorm(self.embed_dims)
        self.out_channels = tuple(in_channels[i] for i in self.out_indices)
        self.out_strides = tuple(in_strides[i] for i in self.out_indices)

    def _finish(self, *, frozen_stages: int, with_cp: bool) -> None:
        """Initialise and freeze what was built.

        Raises:
            ValueError: If ``frozen_stages`` is out of its range.
        """
        if not isinstance(frozen_stages, int) or not -1 <= frozen_stages <= self.num_stages:
            raise ValueError(
                f'frozen_stages={frozen_stages} must lie between -1 (nothing is frozen), 0 (the '
                f'embedding) and {self.num_stages} (all of {type(self).__name__})'
            )
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        self.reset_parameters()
        self._freeze()

    @abstractmethod
    def _embedding(self) -> Iterable[nn.Module | nn.Parameter]:
        """What comes before the first stage."""

    @abstractmethod
    def _stages(self) -> Iterable[nn.Module]:
        """What ``frozen_stages`` counts."""

    def reset_parameters(self) -> None:
        """Initialise as the authors do: truncated normals of 0.02 for linear layers and tables."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for table in self._embedding():
            if isinstance(table, nn.Parameter):
                nn.init.trunc_normal_(table, std=0.02)

    def _accept_pretrained(self, pretrained: str | None) -> None:
        """Take the ``pretrained`` that MMSegmentation hands from ``model`` to the backbone.

        In stock configs it names a ResNet's weights in a model zoo (``open-mmlab://...``), which
        mean nothing to another backbone; a file, a URL or a name of ours is loaded.
        """
        if pretrained is None or pretrained is False:
            return
        if re.match(r'(?!tnt:|https?:)[\w-]+://', str(pretrained)):
            print_log(
                f'pretrained={pretrained!r} names weights of another backbone and is ignored: '
                f'{type(self).__name__} starts from random weights. For pretrained ones give the '
                "backbone init_cfg=dict(type='Pretrained', checkpoint=...)",
                logger='current',
                level=logging.WARNING,
            )
        elif self.init_cfg:
            raise ValueError('pretrained and init_cfg both name weights: give init_cfg alone')
        else:
            self.init_cfg = {'type': 'Pretrained', 'checkpoint': pretrained}

    def init_weights(self) -> None:
        """Apply ``init_cfg``; ``type='Pretrained'`` takes what ``load_pretrained`` takes."""
        init_cfg = self.init_cfg
        # mmengine's own loader is mute
        pretrained, self.init_cfg = split_init_cfg(init_cfg)
        super().init_weights()
        self.init_cfg = init_cfg
        for cfg in pretrained:
            load_pretrained(self, **load_options(cfg))

    def fit_position_tables(
        self, tensors: Mapping[str, Tensor], prefix: str = ''
    ) -> dict[str, Tensor]:
        """Resize position tables that were made for square images of another size.

        As ``forward`` resizes its own: at the images that this backbone was built for, the result
        is what a backbone of the file's ``img_size`` would give.

        Args:
            tensors: A checkpoint under our names.
            prefix: What comes before them, such as ``'backbone.'``.

        Returns:
            The tables that had to be resized. One that is not of a square stays as it is.
        """
        name = prefix + self.POSITION_TABLE
        own, found = getattr(self, self.POSITION_TABLE, None), tensors.get(name)
        if own is None or found is None or found.shape == own.shape:
            return {}
        num_prefix = own.shape[1] - self.grid[0] * self.grid[1]
        side = math.isqrt(max(found.shape[1] - num_prefix, 0))
        if num_prefix + side**2 != found.shape[1] or side == 0:
            return {}
        print_log(
            f'{name}: position tables resized from {side}x{side} to {self.grid[0]}x{self.grid[1]}, '
            'since img_size is another than that of the file',
            logger='current',
        )
        with torch.no_grad():
            return {name: resize_position_table(found, (side, side), self.grid)}

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Let ``load_state_dict`` and ``load_from`` take a file of another image size."""
        state_dict.update(self.fit_position_tables(state_dict, prefix))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [*self._embedding(), *list(self._stages())[: self.frozen_stages]]
        if self.norm is not None and self.frozen_stages == self.num_stages:
            frozen.append(self.norm)
        for part in frozen:
            part.requires_grad_(False)
            if isinstance(part, nn.Module):
                part.eval()  # no drop path in a frozen block

    def train(self, mode: bool = True) -> 'TokenBackbone':
        """Switch the mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Tell how deep a parameter lies, for layer-wise learning-rate decay.

        mmpretrain's protocol (``LearningRateDecayOptimWrapperConstructor``).

        Args:
            param_name: Full name of the parameter.
            prefix: What comes before the backbone's own names, such as ``'backbone.'``.

        Returns:
            The parameter's depth, from 0 (embedding) to ``num_layers + 1`` (pyramid, norm, heads),
            and the number of depths.
        """
        num_depths = self.num_layers + 2
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        name = param_name[len(prefix) :]
        if name.startswith(('norm.', 'pyramid.')):
            return num_depths - 1, num_depths
        return self._depth_of(name), num_depths

    def _depth_of(self, name: str) -> int:
        """Number of the block, from 1, that a parameter belongs to; 0 in the embedding."""
        block = re.match(r'blocks\.(\d+)\.', name)
        return int(block[1]) + 1 if block else 0

    def _pad(self, image: Tensor) -> Tensor:
        """Pad right and bottom to whole patches: ``(B, C, H, W) -> (B, C, H', W')``."""
        if image.ndim != 4 or image.shape[1] != self.in_channels or 0 in image.shape:
            raise ValueError(
                f'{type(self).__name__} takes images of shape (B, {self.in_channels}, H, W) with '
                f'at least one pixel, not {tuple(image.shape)}; in_channels sets how many channels'
            )
        if not image.is_floating_point():
            raise ValueError(
                f'{type(self).__name__} takes normalised images of floats, not {image.dtype}'
            )
        height, width = image.shape[-2:]
        pad_bottom, pad_right = -height % self.pad_divisor, -width % self.pad_divisor
        if pad_bottom or pad_right:
            image = F.pad(image, (0, pad_right, 0, pad_bottom))
        return image

    def _run(self, block: nn.Module, *tokens: Any) -> Any:
        """Run a block, to be run once more in the backward pass where ``with_cp`` says so."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(block, *tokens, use_reentrant=False)
        return block(*tokens)

    def _format_outputs(
        self, tapped: Mapping[int, Tap], image_size: tuple[int, int], dtype: torch.dtype
    ) -> tuple[Tensor, ...]:
        """Make the outputs from the tokens behind the tapped stages.

        Args:
            tapped: What each tapped stage gave.
            image_size: ``(H, W)`` of the image before it was padded, in pixels.
            dtype: That of the image, and of the outputs.
        """
        used = [self.taps[i] for i in self.out_indices]
        if self.pyramid is not None:
            maps = [tapped[tap].to_map() for tap in used]
            levels = self.pyramid(maps, [tapped[tap].words for tap in used], image_size)
            return tuple(level.to(dtype) for level in levels)
        outputs = []
        for tap in used:
            tokens, grid, _ = tapped[tap]
            if self.norm is not None and tap == self.num_stages - 1:
                tokens = self.norm(tokens)
            outputs.append(self._format_tokens(tokens, grid).to(dtype))
        return tuple(outputs)

    def _format_tokens(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        placed = tokens[:, -grid[0] * grid[1] :]
        if self.out_type == 'cls_token':
            return tokens[:, 0]
        if self.out_type == 'avg_featmap':
            return placed.mean(dim=1)
        if self.out_type == 'featmap':
            return _to_map(placed, grid).contiguous()
        return tokens


def _to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """``(B, h*w, C) -> (B, C, h, w)``."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def check_rates(**rates: float) -> None:
    """Refuse dropout rates outside [0, 1)."""
    for name, rate in rates.items():
        if not isinstance(rate, Real) or not 0.0 <= rate < 1.0:
            raise ValueError(f'{name}={rate!r} must lie in [0, 1)')


def check_sizes(**sizes: int) -> None:
    """Refuse what is no positive integer."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f'{name}={size!r} must be a positive integer')


def parse_img_size(img_size: int | Sequence[int], smallest: int) -> tuple[int, int]:
    """Read a side or ``(H, W)`` in pixels."""
    sides = img_size if isinstance(img_size, (tuple, list)) else (img_size, img_size)
    if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
        raise ValueError(f'img_size={img_size!r} must be an integer or (H, W), in pixels')
    height, width = (int(side) for side in sides)
    if height < smallest or width < smallest:
        raise ValueError(f'img_size={img_size!r} must be at least one patch: {smallest} pixels')
    return height, width


def check_blocks(name: str, blocks: Any, depth: int) -> tuple[int, ...]:
    """Read numbers of blocks, counted from 0."""
    numbers = tuple(blocks) if isinstance(blocks, Iterable) else ()
    if not isinstance(blocks, Iterable) or not set(numbers) <= set(range(depth)):
        raise ValueError(f'{name}={blocks!r} must name blocks from 0 to {depth - 1}')
    return numbers


def spread_taps(taps: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    """Check the block that feeds each level; ``None`` spreads four evenly."""
    if taps is None:
        return tuple(-(-depth * level // 4) - 1 for level in (1, 2, 3, 4))
    taps = check_blocks('taps', taps, depth)
    if not taps:
        raise ValueError('taps=() must name a block for each level')
    return tuple(taps)
