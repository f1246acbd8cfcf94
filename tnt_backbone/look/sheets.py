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
from .figures import Panel, colour_table, overlay, spread
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
    size = seen.pixels.shape[:2]
    sentences, words, class_token = [], [], []
    for entry in maps:
        block = entry.block
        row, column = cell_of(entry, point)
        top, left = (int(entry.rows[row]) * block.stride, int(entry.columns[column]) * block.stride)
        stride = block.stride * block.grid[0] // block.key_grid[0]
        mark = (left, top, block.stride, block.stride)
        if entry.sentences.size:
            heat = spread(entry.sentences[row, column], size, stride)
            largest = entry.sentences[row, column].max()
            title = f'{block.name}: the sentence reads\n(largest weight {largest:.3f})'
            sentences.append(Panel(title, overlay(seen.pixels, heat), mark=mark))
        if entry.words is not None:
            words.append(_words(seen.pixels, entry, (row, column), point, (left, top)))
        if entry.class_token is not None:
            heat = spread(entry.class_token, size, stride)
            largest = entry.class_token.max()
            title = f'{block.name}: the class token reads\n(largest weight {largest:.3f})'
            class_token.append(Panel(title, overlay(seen.pixels, heat)))
    return [row for row in (sentences, words, class_token) if row]


def _words(
    pixels: np.ndarray,
    entry: AttentionMaps,
    cell: tuple[int, int],
    point: tuple[int, int],
    corner: tuple[int, int],
) -> Panel:
    """Return one sentence, enlarged, beside what the word at the point reads."""
    block, (left, top) = entry.block, corner
    side, stride = block.side, block.stride
    x, y = (
        min(max((value - start) * side // stride, 0), side - 1)
        for value, start in zip(point, corner, strict=True)
    )
    read = entry.words[cell][y * side + x].reshape(side, side)  # type: ignore[index]
    padded = np.pad(pixels, ((0, stride), (0, stride), (0, 0)))  # a sentence may reach beyond
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
