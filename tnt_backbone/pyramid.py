"""The feature pyramid on top of the tokens of a few blocks.

TNT keeps one resolution throughout. Its paper feeds FPN from blocks 3, 6, 9 and 12 through
"deconvolution/convolution with proper stride" (Appendix A.3 of https://arxiv.org/abs/2103.00112),
and no more than that was published. Here each step up is a 2x2 transposed convolution of stride 2,
with norm and GELU between two steps, as in ViTDet's simple pyramid. A step down is a 3x3
convolution of stride 2. PyramidTNT's paper (https://arxiv.org/abs/2201.00978, COCO) goes one step
up and then smooths: transposed convolution of stride 2, BN, GELU, 3x3 convolution, BN, GELU. That
is ``smooth``. The norms are layer norms instead of BN. They need no statistics, so one image of any
size is enough for training.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from .errors import InputError
from .layers import LayerNorm2d
from .ops.constant import is_exporting, traces_any_size


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()


class PyramidLevel(nn.Module):
    """One level of the pyramid: ``(B, C, h, w) -> (B, C', ceil(H/stride), ceil(W/stride))``.

    Args:
        in_channels: Channels ``C`` of the map that is tapped.
        out_channels: Channels ``C'`` of the level.
        in_stride: Stride of the map that is tapped, in pixels.
        stride: Stride of the level, in pixels. Steps of two lead to the nearest power-of-two ratio.
            The rest, for instance with patches of 14 pixels, is interpolated.
        smooth: Add a 3x3 convolution after the steps up.
        word_channels: Channels of a map of words that is added to the level; ``None`` for none.
        word_stride: Stride of the map of words, in pixels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        in_stride: int,
        stride: int,
        smooth: bool = False,
        word_channels: int | None = None,
        word_stride: int = 4,
    ) -> None:
        super().__init__()
        self.stride = stride
        steps = round(math.log2(in_stride / stride))  # > 0: up, < 0: down
        self.map_stride = in_stride / 2**steps
        smooth = smooth and steps > 0
        widths = [in_channels] * max(abs(steps), 1) + [in_channels if smooth else out_channels]
        layers: list[nn.Module] = [LayerNorm2d(in_channels)]
        if steps == 0 and in_channels != out_channels:
            layers.append(nn.Conv2d(in_channels, out_channels, 1))
        for step in range(abs(steps)):
            if step > 0:
                layers += [LayerNorm2d(in_channels), nn.GELU()]
            width, next_width = widths[step], widths[step + 1]
            if steps > 0:
                layers.append(nn.ConvTranspose2d(width, next_width, 2, stride=2))
            else:
                layers.append(nn.Conv2d(width, next_width, 3, stride=2, padding=1))
        if smooth:
            layers += [LayerNorm2d(in_channels), nn.GELU()]
            layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1))
            layers += [LayerNorm2d(out_channels), nn.GELU()]
        self.resample = nn.Sequential(*layers)
        self.read_words: nn.Module | None = None
        if word_channels is not None:
            merge = max(stride // word_stride, 1)  # words side by side in one cell of the level
            self.read_words = nn.Sequential(
                LayerNorm2d(word_channels),
                nn.Conv2d(word_channels, out_channels, merge, stride=merge),
            )

    def forward(
        self,
        tapped: Tensor,
        words: Tensor | None,
        image_size: tuple[int, int],
        *,
        tie: bool = False,
    ) -> Any:
        """Return the level, and with ``tie`` also its zero (or ``None``, if all is frozen).

        Args:
            tapped: ``(B, C, h, w)`` map of sentences.
            words: ``(B, c, h*k, w*k)`` map of their words; used only where the level reads words.
            image_size: ``(H, W)`` of the image before it was padded, in pixels.
            tie: Return also a scalar zero that all parameters of the level get a gradient from.
        """
        level = self.resample(tapped)
        if self.read_words is not None:
            read = self.read_words(words)
            if read.shape[-2:] != level.shape[-2:]:
                read = F.interpolate(
                    read, size=level.shape[-2:], mode='bilinear', align_corners=False
                )
            level = level + read
        if self.map_stride != self.stride:
            height, width = (
                math.ceil(side * self.map_stride / self.stride) for side in level.shape[-2:]
            )
            level = F.interpolate(level, size=(height, width), mode='bilinear', align_corners=False)
        height, width = (math.ceil(side / self.stride) for side in image_size)
        varies = traces_any_size(height, width)
        if varies and is_exporting():
            # cuts off without a view, whose layout would be asked for
            level = F.pad(level, (0, width - level.shape[-1], 0, height - level.shape[-2]))
        else:
            level = level[:, :, :height, :width]
            if varies:  # contiguous() would ask whether anything was cut off
                level = level.clone(memory_format=torch.contiguous_format)
            level = level.contiguous()
        return (level, self._zero(level)) if tie else level

    def _zero(self, level: Tensor) -> Tensor | None:
        """Return a scalar zero with a path to all parameters of this level.

        It is made in here, where FSDP has gathered the level's parameters. If a part of the level
        gathers its own (then there is no plain parameter), the path leads through the output.
        """
        parameters = list(self.parameters())
        if not parameters or any(
            type(p) not in (Tensor, nn.Parameter) or not p.numel() for p in parameters
        ):
            return level.flatten()[:1].sum() * 0.0 if level.requires_grad else None
        firsts = [p.flatten()[0].to(level.dtype) for p in parameters if p.requires_grad]
        return torch.stack(firsts).sum() * 0.0 if firsts else None


class Pyramid(nn.Module):
    """The feature pyramid: one tapped map per level in, the levels of ``out_indices`` out.

    Args:
        in_channels: Channels of each tapped map.
        out_channels: Channels of each level; ``None`` keeps ``in_channels``.
        in_strides: Stride of each tapped map, in pixels.
        out_strides: Stride of each level, in pixels.
        out_indices: The levels to build.
        smooth: Add a 3x3 convolution after the steps up.
        word_channels: Channels of the words that levels finer than their tapped map read; ``None``
            reads no words.
        word_stride: Stride of the words, in pixels.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        out_channels: Sequence[int] | None,
        in_strides: Sequence[int],
        out_strides: Sequence[int],
        out_indices: Sequence[int],
        smooth: bool = False,
        word_channels: int | None = None,
        word_stride: int = 4,
    ) -> None:
        super().__init__()
        widths = in_channels if out_channels is None else out_channels
        for name, values in (('out_channels', widths), ('out_strides', out_strides)):
            if not isinstance(values, Sequence):
                raise InputError(f'{name}={values!r} must be a sequence with one entry per level')
            if len(values) != len(in_channels):
                raise InputError(
                    f'{name}={tuple(values)} has {len(values)} entries, but there are '
                    f'{len(in_channels)} levels. Pass one entry per level'
                )
            if any(not isinstance(value, int) or value < 1 for value in values):
                raise InputError(f'{name}={tuple(values)} must consist of positive integers')
        if word_channels is not None and not any(
            out_strides[i] < in_strides[i] for i in out_indices
        ):
            raise InputError(
                'word_pyramid=True has no effect: no level of '
                f'out_indices={tuple(out_indices)} with out_strides={tuple(out_strides)} is finer '
                f'than the sentences (stride {in_strides[0]}). Leave word_pyramid out, or add a '
                'finer level'
            )
        self.out_indices = tuple(out_indices)
        # Named by level, so that a checkpoint fits whatever else is built.
        self.levels = nn.ModuleDict()
        for i in self.out_indices:
            self.levels[str(i)] = PyramidLevel(
                in_channels[i],
                widths[i],
                in_stride=in_strides[i],
                stride=out_strides[i],
                smooth=smooth,
                word_channels=word_channels if out_strides[i] < in_strides[i] else None,
                word_stride=word_stride,
            )

    def forward(
        self, tapped: Sequence[Tensor], words: Sequence[Tensor | None], image_size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """Return the levels.

        Args:
            tapped: For each entry of ``out_indices``, its ``(B, C, h, w)`` map of sentences.
            words: For each entry of ``out_indices``, its ``(B, c, h*k, w*k)`` map of words, or
                ``None``.
            image_size: ``(H, W)`` of the image before it was padded, in pixels.

        Returns:
            Contiguous ``(B, C', ceil(H/stride), ceil(W/stride))`` maps in the order of
            ``out_indices``.
        """
        # in evaluation mode only if DDP trains in it; an exported graph does not need it
        tie = torch.is_grad_enabled() and (self.training or _is_distributed())
        found = [
            level(tapped_map, word_map, image_size, tie=tie)
            for level, tapped_map, word_map in zip(self.levels.values(), tapped, words, strict=True)
        ]
        return _reach_all(found) if tie else tuple(found)


def _reach_all(found: Sequence[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, ...]:
    """Return the levels, tied to the parameters of all levels with a gradient of zero.

    A coarse level of a ResNet passes through the finer ones, so a head that reads only level 3
    gives all stages a gradient. Our levels are side by side. A level that is not read (RetinaNet's
    FPN starts at level 1) would have no gradient, and DistributedDataParallel stops at a parameter
    without a gradient.
    """
    zeros = [zero for _, zero in found if zero is not None]
    if not zeros:
        return tuple(level for level, _ in found)
    zero = torch.stack(zeros).sum()
    return tuple(level + zero.to(level.dtype) for level, _ in found)
