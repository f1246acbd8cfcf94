"""What all backbones of the package have in common: outputs, freezing, checkpointing, weights."""

import logging
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..checkpoints import load_pretrained
from ..pyramid import Pyramid

OUT_TYPES = ('pyramid', 'cls_token', 'avg_featmap', 'featmap', 'raw')


class TokenBackbone(BaseModule):
    """A stack of ``self.blocks``, some of which are tapped.

    A subclass calls :meth:`_plan_outputs` before it builds its blocks (which tells how many are
    needed), :meth:`_finish` after it has built everything, and :meth:`_format_outputs` at the end
    of ``forward``.

    Attributes:
        embed_dims: Channels of the tokens of the last block.
        num_layers: Blocks that were built; those behind the deepest tap would be dead weight.
        taps: For each level, the block that feeds it, counted from 0.
        out_indices: The levels that are returned, counted from 0.
        out_channels: Channels of each returned map or vector.
        out_strides: Stride of each returned map in pixels.
    """

    VARIANTS: ClassVar[dict[str, Any]]  # the rows that ``arch`` may name, smallest first
    init_cfg: Any
    blocks: nn.ModuleList
    embed_dims: int
    patch_size: int
    in_channels: int

    def _plan_outputs(
        self,
        depth: int,
        taps: Sequence[int] | None,
        out_type: str,
        out_indices: int | Sequence[int] | None,
    ) -> None:
        """Check and store which blocks are tapped for which output.

        Args:
            depth: Blocks of the variant.
            taps: A block for each level; ``None`` spreads four evenly.
            out_type: One of ``OUT_TYPES``.
            out_indices: Levels to return; ``None`` returns all in a pyramid, else the last.

        Raises:
            ValueError: If any of them is out of its range.
        """
        if out_type not in OUT_TYPES:
            raise ValueError(f'out_type={out_type!r} is not known: choose one of {OUT_TYPES}')
        if taps is None:
            taps = [-(-depth * level // 4) - 1 for level in (1, 2, 3, 4)]
        if not taps or any(not 0 <= tap < depth for tap in taps):
            raise ValueError(
                f'taps={tuple(taps)} must name blocks from 0 to {depth - 1}, one a level'
            )
        levels = len(taps)
        if out_indices is None:
            out_indices = range(levels) if out_type == 'pyramid' else (levels - 1,)
        elif isinstance(out_indices, int):
            out_indices = (out_indices,)
        if not out_indices or any(not -levels <= i < levels for i in out_indices):
            raise ValueError(
                f'out_indices={tuple(out_indices)} must name levels from 0 to {levels - 1} '
                '(levels of the pyramid, not blocks: those are named by taps)'
            )
        self.out_indices = tuple(i % levels for i in out_indices)
        if len(set(self.out_indices)) < len(self.out_indices):
            raise ValueError(f'out_indices={tuple(out_indices)} names a level twice')
        self.taps = tuple(taps)
        self.out_type = out_type
        self.tapped_blocks = {self.taps[i] for i in self.out_indices}
        self.num_layers = max(self.tapped_blocks) + 1

    def _build_outputs(
        self,
        depth: int,
        *,
        out_channels: Sequence[int] | None,
        out_strides: Sequence[int],
        word_channels: int | None,
        word_stride: int,
    ) -> None:
        """Build the pyramid, or the final norm where tokens are returned."""
        levels = len(self.taps)
        self.pyramid: Pyramid | None = None
        self.norm: nn.Module | None = None
        if self.out_type == 'pyramid':
            self.pyramid = Pyramid(
                in_channels=(self.embed_dims,) * levels,
                out_channels=out_channels,
                in_strides=(self.patch_size,) * levels,
                out_strides=out_strides,
                out_indices=self.out_indices,
                word_channels=word_channels,
                word_stride=word_stride,
            )
            channels = out_channels or (self.embed_dims,) * levels
            self.out_channels = tuple(channels[i] for i in self.out_indices)
            self.out_strides = tuple(out_strides[i] for i in self.out_indices)
            return
        if self.num_layers == depth:
            self.norm = nn.LayerNorm(
                self.embed_dims
            )  # of the last block alone, as in mmpretrain's ViT
        self.out_channels = (self.embed_dims,) * len(self.out_indices)
        self.out_strides = (self.patch_size,) * len(self.out_indices)

    def _finish(self, *, frozen_stages: int, with_cp: bool) -> None:
        """Initialise and freeze what was built.

        Raises:
            ValueError: If ``frozen_stages`` is out of its range.
        """
        if not -1 <= frozen_stages <= self.num_layers:
            raise ValueError(
                f'frozen_stages={frozen_stages} must lie between -1 (nothing is frozen), 0 (the '
                f'embedding) and {self.num_layers} (all blocks)'
            )
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        self.reset_parameters()
        self._freeze()

    @abstractmethod
    def _embedding(self) -> Iterable[nn.Module | nn.Parameter]:
        """What comes before the first block."""

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
        if pretrained is None:
            return
        if re.match(r'(?!tnt:|https?:)[\w-]+://', pretrained):
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
        cfgs = [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or ())
        pretrained = [cfg for cfg in cfgs if cfg['type'] == 'Pretrained']
        self.init_cfg = [
            cfg for cfg in cfgs if cfg not in pretrained
        ]  # mmengine's own loader is mute
        super().init_weights()
        self.init_cfg = init_cfg
        for cfg in pretrained:
            load_pretrained(self, **{key: value for key, value in cfg.items() if key != 'type'})

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [*self._embedding(), *self.blocks[: self.frozen_stages]]
        if self.norm is not None and self.frozen_stages == self.num_layers:
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
        first, _, rest = param_name[len(prefix) :].partition('.')
        if first == 'blocks':
            return int(rest.partition('.')[0]) + 1, num_depths
        if first in ('norm', 'pyramid'):
            return num_depths - 1, num_depths
        return 0, num_depths

    def _pad(self, image: Tensor) -> Tensor:
        """Pad right and bottom to whole patches: ``(B, C, H, W) -> (B, C, h*patch, w*patch)``."""
        if image.ndim != 4 or image.shape[1] != self.in_channels or 0 in image.shape:
            raise ValueError(
                f'{type(self).__name__} takes images of shape (B, {self.in_channels}, H, W) with '
                f'at least one pixel, not {tuple(image.shape)}; in_channels sets how many channels'
            )
        height, width = image.shape[-2:]
        pad_bottom, pad_right = -height % self.patch_size, -width % self.patch_size
        if pad_bottom or pad_right:
            image = F.pad(image, (0, pad_right, 0, pad_bottom))
        return image

    def _run_block(self, block: nn.Module, *tokens: Tensor) -> Any:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(block, *tokens, use_reentrant=False)
        return block(*tokens)

    def _format_outputs(
        self,
        tapped: Mapping[int, tuple[Tensor | None, Tensor]],
        grid: tuple[int, int],
        image_size: tuple[int, int],
        dtype: torch.dtype,
    ) -> tuple[Tensor, ...]:
        """Make the outputs from the tokens behind the tapped blocks.

        Args:
            tapped: Block number to ``(B, c, h*k, w*k)`` map of words, or ``None``, and ``(B, 1+N,
                d)`` sentences.
            grid: ``(h, w)`` sentences in each direction; ``N = h * w``.
            image_size: ``(H, W)`` of the image before it was padded, in pixels.
            dtype: That of the image, and of the outputs.
        """
        used = [self.taps[i] for i in self.out_indices]
        if self.pyramid is not None:
            maps = [_to_map(tapped[tap][1][:, 1:], grid) for tap in used]
            levels = self.pyramid(maps, [tapped[tap][0] for tap in used], image_size)
            return tuple(level.to(dtype) for level in levels)
        outputs = []
        for tap in used:
            tokens = tapped[tap][1]
            if self.norm is not None and tap == self.num_layers - 1:
                tokens = self.norm(tokens)
            outputs.append(self._format_tokens(tokens, grid).to(dtype))
        return tuple(outputs)

    def _format_tokens(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.out_type == 'cls_token':
            return tokens[:, 0]
        if self.out_type == 'avg_featmap':
            return tokens[:, 1:].mean(dim=1)
        if self.out_type == 'featmap':
            return _to_map(tokens[:, 1:], grid).contiguous()
        return tokens


def _to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """``(B, h*w, C) -> (B, C, h, w)``."""
    return tokens.transpose(1, 2).unflatten(2, grid)
