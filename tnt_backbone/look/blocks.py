"""What the blocks of a backbone did with one picture: tokens behind each, and both attentions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..backbones import TNT, PyramidTNT, T2TViT
from ..backbones.base import TokenBackbone
from ..backbones.outputs import to_map
from ..errors import InputError
from ..layers.tiles import count_tiles, to_word_map
from .attention import AttentionRows, attention_rows

Grid = tuple[int, int]


class Place(NamedTuple):
    """A block within its backbone.

    Attributes:
        name: Such as ``'block 3'``, counted from 0 as in the names of parameters.
        module: The block.
        sentences: Its transformer of sentences.
        words: Its transformer of words, if it has one.
        side: Words per side of a sentence.
        stride: Side of a sentence in pixels.
    """

    name: str
    module: nn.Module
    sentences: Any
    words: Any
    side: int
    stride: int


@dataclass(frozen=True)
class RecordedBlock:
    """What a block did with one picture.

    Attributes:
        name: See :class:`Place`.
        grid: ``(h, w)`` sentences, those in the padding included.
        stride: Side of a sentence in pixels of the network's input.
        side: Words per side of a sentence.
        prefix: Number of tokens before those of the grid: 1 with a class token, else 0.
        key_grid: ``(h', w')``: the grid that the sentences read. PyramidTNT pools it.
        sentences: ``(d, h, w)`` map behind the block; ``None`` if it returns only a class token.
        words: ``(c, h*side, w*side)`` map behind the block; ``None`` if the block changes no words.
        sentence_attention: Of the one picture: ``B = 1``.
        word_attention: Of each sentence: ``B = h*w``; ``None`` as for ``words``.
    """

    name: str
    grid: Grid
    stride: int
    side: int
    prefix: int
    key_grid: Grid
    sentences: Tensor | None
    words: Tensor | None
    sentence_attention: AttentionRows
    word_attention: AttentionRows | None

    @property
    def has_queries(self) -> bool:
        """Whether sentences read, and not only the class token."""
        return self.sentence_attention.q.shape[2] > self.prefix


def places_of(backbone: TokenBackbone) -> list[Place]:
    """Return the blocks of a backbone, first to last."""
    if isinstance(backbone, PyramidTNT):
        return [
            Place(f'stage {i}, block {j}', block, block.sentence_block, block.word_block, 4, 8 << i)
            for i, stage in enumerate(backbone.stages)
            for j, block in enumerate(stage.blocks)  # type: ignore[arg-type]
        ]
    stride = backbone.pad_divisor
    blocks: Any = backbone.blocks
    if isinstance(backbone, TNT):
        return [
            Place(f'block {i}', block, block.sentence_block, block.word_block, side, stride)
            for side in [backbone.words_per_side]
            for i, block in enumerate(blocks)
        ]
    if isinstance(backbone, T2TViT):
        return [
            Place(f'block {i}', block, block, None, 0, stride) for i, block in enumerate(blocks)
        ]
    raise InputError(f'{type(backbone).__name__} is no backbone of this package')


def choose_blocks(backbone: TokenBackbone, numbers: Sequence[int] | None) -> list[int]:
    """Return the numbers of blocks to look at, sorted.

    Args:
        backbone: One of ours.
        numbers: Those that somebody asks for, counted from 0 through all stages; negative ones
            count from the end. By default the first, the middle and the last block whose sentences
            read each other. In PyramidTNT the first block of each stage, which has words.

    Raises:
        ValueError: If there is no such block.
    """
    places = places_of(backbone)
    if not places:
        raise InputError(
            f'this {type(backbone).__name__} has no block of attention, because out_indices names '
            'only levels before the first'
        )
    if numbers is None:
        if isinstance(backbone, PyramidTNT):
            return [i for i, place in enumerate(places) if place.name.endswith('block 0')]
        last = len(places) - 1
        if places[last].sentences.class_token_only and last:
            last -= 1
        return sorted({0, last // 2, last})
    if wrong := [n for n in numbers if not -len(places) <= n < len(places)]:
        raise InputError(
            f'blocks {wrong} do not exist. {type(backbone).__name__} has {len(places)} blocks: '
            f'pass --blocks with numbers from 0 to {len(places) - 1}'
        )
    return sorted({n % len(places) for n in numbers})


@torch.no_grad()
def record_blocks(
    backbone: TokenBackbone, image: Tensor, numbers: Sequence[int]
) -> tuple[list[RecordedBlock], tuple[Tensor, ...]]:
    """Run a backbone; return what some of its blocks did, and its outputs.

    Hooks only listen, so the outputs are those of the quick path.

    Args:
        backbone: One of ours, in evaluation mode.
        image: ``(1, C, H, W)``, normalised.
        numbers: From :func:`choose_blocks`.
    """
    places = [places_of(backbone)[i] for i in numbers]
    calls: dict[nn.Module, tuple[Any, ...]] = {}
    results: dict[nn.Module, Any] = {}

    def note_call(module: nn.Module, args: tuple[Any, ...]) -> None:
        calls[module] = args

    def note_result(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        results[module] = result

    handles = []
    for place in places:
        handles.append(place.module.register_forward_hook(note_result))
        handles.append(place.sentences.attn.register_forward_pre_hook(note_call))
        if place.words is not None:  # not its parts: a hook of those switches the quick path off
            handles.append(place.words.register_forward_pre_hook(note_call))
    try:
        outputs = backbone(image)
    finally:
        for handle in handles:
            handle.remove()
    size = (image.shape[2], image.shape[3])
    return [_recorded(place, calls, results, size) for place in places], outputs


def _recorded(
    place: Place,
    calls: dict[nn.Module, tuple[Any, ...]],
    results: dict[nn.Module, Any],
    image_size: Grid,
) -> RecordedBlock:
    call = calls[place.sentences.attn]
    rows, columns = (count_tiles(side, place.stride) for side in image_size)
    grid: Grid = call[1] if len(call) > 1 else (rows, columns)  # T2T-ViT's blocks are not told
    attention = attention_rows(place.sentences.attn, *call)
    ratio = getattr(place.sentences.attn, 'sr_ratio', 1)
    result = results[place.module]
    words, tokens = result if isinstance(result, tuple) else (None, result)
    number = grid[0] * grid[1]
    word_attention = None
    if place.words is not None:
        (before,) = calls[place.words]
        word_attention = attention_rows(place.words.attn, place.words.norm1(before))
    return RecordedBlock(
        name=place.name,
        grid=grid,
        stride=place.stride,
        side=place.side,
        prefix=call[0].shape[1] - number,
        key_grid=(grid[0] // ratio, grid[1] // ratio),
        sentences=to_map(tokens[:, -number:], grid)[0] if tokens.shape[1] >= number else None,
        words=None if place.words is None else to_word_map(words, grid, place.side)[0],
        sentence_attention=attention,
        word_attention=word_attention,
    )
