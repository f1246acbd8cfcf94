"""The sheets of ``tnt look``: levels, sentences, words, attention, positions, heat maps.

Words and sentences are drawn as the paper draws them (Sec. 3, "Visualization",
https://arxiv.org/abs/2103.00112): twelve random channels of the sentences, and the mean over the
channels of the words, each in its place.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .blocks import RecordedBlock
from .figures import OPACITY, Panel, colour_table, overlay, spread
from .heat import HeatMap, nearest_stride
from .maps import AttentionMaps, principal_colours, stretched
from .network_input import NetworkInput

CHANNELS = 12  # of the sentences, as in the paper
ENLARGED = 128  # pixels of a sentence that is shown with its words, at least
Rows = list[list[Panel]]


def level_sheet(seen: NetworkInput, outputs: Sequence[Tensor]) -> Rows:
    """Return the maps that the backbone gives: their strength, and their main components."""
    size = seen.pixels.shape[:2]
    strengths, colours = [], []
    for i, level in enumerate(outputs):
        _, channels, height, width = level.shape
        text = f'{height} x {width}, stride {nearest_stride(size, level)}, {channels} channels'
        norm = level[0].detach().float().norm(dim=0).cpu().numpy()
        strengths.append(Panel(f'output {i}: {text}\nlength of the vectors', norm))
        colours.append(
            Panel(f'output {i}\n3 main components as RGB', principal_colours(level[0].detach()))
        )
    picture = Panel('what the network sees\n', seen.pixels)
    return [[picture, *strengths], [picture, *colours]]


def sentence_sheet(blocks: Sequence[RecordedBlock]) -> Rows:
    """Return twelve channels of the sentences behind each block, and their main components."""
    rows = []
    for block in blocks:
        if block.sentences is None:
            continue
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(block.sentences), generator=generator)[:CHANNELS].tolist()
        panels = [
            Panel(f'{block.name}, channel {i}', stretched(block.sentences[i].float().cpu().numpy()))
            for i in sorted(chosen)
        ]
        rgb = Panel(f'{block.name}, 3 main components', principal_colours(block.sentences))
        rows.append([rgb, *panels])
    return rows


def word_sheet(blocks: Sequence[RecordedBlock]) -> Rows:
    """Return the words behind each block: the mean over their channels, and main components."""
    means, colours = [], []
    for block in blocks:
        if block.words is None:
            continue
        mean = block.words.float().mean(dim=0).cpu().numpy()
        means.append(Panel(f'{block.name}\nmean over the channels', stretched(mean)))
        colours.append(Panel(f'{block.name}\n3 main components', principal_colours(block.words)))
    return [means, colours] if means else []


def attention_sheet(
    seen: NetworkInput, maps: Sequence[AttentionMaps], point: tuple[int, int]
) -> Rows:
    """Return what a sentence, a word and the class token read in each block.

    Args:
        seen: The picture.
        maps: Of each block.
        point: ``(x, y)`` in pixels of the network's input.
    """
    panels = (
        [sentence_panel(seen, entry, point) for entry in maps],
        [word_panel(seen, entry, point) for entry in maps],
        [class_token_panel(seen, entry) for entry in maps],
    )
    rows = ([panel for panel in row if panel is not None] for row in panels)
    return [row for row in rows if row]


def sentence_panel(
    seen: NetworkInput,
    entry: AttentionMaps,
    point: tuple[int, int],
    opacity: tuple[float, float] = OPACITY,
) -> Panel | None:
    """Return what the sentence at a point reads; ``None`` if only the class token reads.

    Args:
        seen: The picture.
        entry: Of the block.
        point: ``(x, y)`` in pixels of the network's input.
        opacity: See :func:`overlay`.
    """
    if not entry.sentences.size:
        return None
    row, column = cell_of(entry, point)
    read, (left, top) = entry.sentences[row, column], _corner(entry, row, column)
    return Panel(
        f'{entry.block.name}: the sentence reads\n(largest weight {read.max():.3f})',
        overlay(seen.pixels, _spread_keys(read, seen, entry), opacity),
        mark=(left, top, entry.block.stride, entry.block.stride),
    )


def class_token_panel(
    seen: NetworkInput, entry: AttentionMaps, opacity: tuple[float, float] = OPACITY
) -> Panel | None:
    """Return what the class token reads; ``None`` without one.

    Args:
        seen: The picture.
        entry: Of the block.
        opacity: See :func:`overlay`.
    """
    if entry.class_token is None:
        return None
    return Panel(
        f'{entry.block.name}: the class token reads\n'
        f'(largest weight {entry.class_token.max():.3f})',
        overlay(seen.pixels, _spread_keys(entry.class_token, seen, entry), opacity),
    )


def _spread_keys(read: np.ndarray, seen: NetworkInput, entry: AttentionMaps) -> np.ndarray:
    stride = entry.block.stride * entry.block.grid[0] // entry.block.key_grid[0]
    height, width = seen.pixels.shape[:2]
    return spread(read, (height, width), stride)


def _corner(entry: AttentionMaps, row: int, column: int) -> tuple[int, int]:
    """Return x and y of the upper left corner of a kept sentence, in pixels."""
    stride = entry.block.stride
    return int(entry.columns[column]) * stride, int(entry.rows[row]) * stride


def word_panel(seen: NetworkInput, entry: AttentionMaps, point: tuple[int, int]) -> Panel | None:
    """Return the sentence at a point, enlarged, beside what the word at the point reads.

    ``None`` if the block has no words.

    Args:
        seen: The picture.
        entry: Of the block.
        point: ``(x, y)`` in pixels of the network's input.
    """
    if entry.words is None:
        return None
    cell = cell_of(entry, point)
    corner = _corner(entry, *cell)
    block, (left, top) = entry.block, corner
    side, stride = block.side, block.stride
    x, y = (
        min(max((value - start) * side // stride, 0), side - 1)
        for value, start in zip(point, corner, strict=True)
    )
    read = entry.words[cell][y * side + x].reshape(side, side)
    padded = np.pad(seen.pixels, ((0, stride), (0, stride), (0, 0)))  # a sentence may reach beyond
    crop = padded[top : top + stride, left : left + stride]
    zoom = -(-ENLARGED // stride)
    crop = crop.repeat(zoom, axis=0).repeat(zoom, axis=1)
    weights = np.round(spread(read, (len(crop), len(crop))) * 255).astype(np.uint8)
    gap = np.full((len(crop), zoom, 3), 255, np.uint8)
    word = len(crop) / side
    return Panel(
        f'{block.name}: the word reads\n(largest weight {read.max():.3f})',
        np.concatenate((crop, gap, colour_table()[weights]), axis=1),
        mark=(x * word, y * word, word, word),
    )


def cell_of(entry: AttentionMaps, point: tuple[int, int]) -> tuple[int, int]:
    """Return row and column, among those kept, of the sentence at a point or next to it."""
    x, y = (value // entry.block.stride for value in point)
    row = int(np.abs(entry.rows - y).argmin())
    return row, int(np.abs(entry.columns - x).argmin())


def heat_sheet(seen: NetworkInput, maps: Sequence[HeatMap]) -> Rows:
    """Return the picture and its heat maps."""
    panels = [Panel(entry.title, overlay(seen.pixels, entry.heat), entry.boxes) for entry in maps]
    return [[Panel('what the network sees', seen.pixels), *panels]]


def position_sheet(pictures: Sequence[tuple[str, np.ndarray]]) -> Rows:
    """Return the position tables."""
    return [[Panel(title.replace(': ', '\n'), image) for title, image in pictures]]
