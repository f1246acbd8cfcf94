"""Other designs of the word pyramid, for ``small_objects.py --designs``.

As built, a level adds the normalised words to the upsampled sentences. Words see only their own
sentence, so they do not know to which object they belong. Each class here changes one thing. They
are registered with mmengine, so that a config can name them.
"""

from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from tnt_backbone.backbones.outputs import Tap
from tnt_backbone.backbones.tnt import TNT
from tnt_backbone.layers import LayerNorm2d
from tnt_backbone.pyramid import PyramidLevel

HIDDEN = 48  # channels in which a told word meets its sentence


class _Words(TNT):
    """TNT with the word pyramid."""

    def __init__(self, **options: Any) -> None:
        super().__init__(word_pyramid=True, **options)
        for level in self.pyramid.levels.values():
            if level.read_words is not None:
                self.change(level)

    def change(self, level: PyramidLevel) -> None:
        """Change a level that reads words."""


@MODELS.register_module()
class ZeroWords(_Words):
    """The convolution that reads words starts at zero: the network starts as one without words."""

    def change(self, level: PyramidLevel) -> None:
        """Set the convolution to zero."""
        nn.init.zeros_(level.read_words[1].weight)
        nn.init.zeros_(level.read_words[1].bias)


class _TellWords(nn.Module):
    """Words that know their sentence: ``GELU(A norm(word) + B norm(sentence))``, then as built."""

    def __init__(self, level: PyramidLevel, sentence_channels: int) -> None:
        super().__init__()
        norm, merge = level.read_words
        self.norm = norm
        self.widen = nn.Conv2d(merge.in_channels, HIDDEN, 1)
        self.tell = nn.Sequential(
            LayerNorm2d(sentence_channels), nn.Conv2d(sentence_channels, HIDDEN, 1)
        )
        self.merge = nn.Conv2d(HIDDEN, merge.out_channels, merge.kernel_size, merge.stride)
        self.sentences: Tensor | None = None  # set by the backbone before each forward

    def forward(self, words: Tensor) -> Tensor:
        """Return what is added to the level."""
        told = self.tell(self.sentences)
        repeat = words.shape[-1] // told.shape[-1]
        told = told.repeat_interleave(repeat, 2).repeat_interleave(repeat, 3)
        return self.merge(nn.functional.gelu(self.widen(self.norm(words)) + told))


@MODELS.register_module()
class ToldWords(_Words):
    """Each word is told what its sentence has found, before a level reads it."""

    def change(self, level: PyramidLevel) -> None:
        """Replace what reads the words."""
        level.read_words = _TellWords(level, self.embed_dims)

    def _format_outputs(
        self, tapped: dict[int, Tap], image_size: tuple[int, int], dtype: torch.dtype
    ) -> tuple[Tensor, ...]:
        for index, tap in zip(self.plan.out_indices, self.plan.used_taps, strict=True):
            read = self.pyramid.levels[str(index)].read_words
            if read is not None:
                read.sentences = tapped[tap].to_map()
        return super()._format_outputs(tapped, image_size, dtype)


@MODELS.register_module()
class FirstWords(_Words):
    """The levels read the words of the first block, not those of the last."""

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the levels."""
        kept: list[Tensor] = []
        hook = self.blocks[0].register_forward_hook(lambda block, args, out: kept.append(out[0]))
        last = self.blocks[-1].register_forward_hook(lambda block, args, out: (kept[0], out[1]))
        try:
            return super().forward(image)
        finally:
            hook.remove()
            last.remove()
