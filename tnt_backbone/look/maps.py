"""Attention and features as small arrays that can be drawn and stored."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .attention import AttentionRows
from .blocks import RecordedBlock

MOST_NUMBERS = 6_000_000  # of a block's attention in a page: a byte each
CHUNK = 256  # queries whose rows are in memory together, for all heads


@dataclass(frozen=True)
class AttentionMaps:
    """What the sentences and words of a block read: the mean over the heads.

    On large pictures not all sentences are kept, but those in the middle of squares of ``step``
    sentences.

    Attributes:
        block: Where it comes from.
        step: Distance of the kept sentences, in sentences.
        rows: ``(r,)``: rows of the grid of sentences that are kept.
        columns: ``(c,)``: columns that are kept.
        sentences: ``(r, c, h', w')``: how much a sentence reads each key of the grid.
        to_class: ``(r, c)``: how much it reads the class token; together with its
            ``sentences`` it sums to 1. Zero without a class token.
        class_token: ``(h', w')``: how much the class token reads each key; ``None`` without one.
        words: ``(r, c, M, M)``: how much a word, the third axis, reads the words of its sentence;
            ``None`` if the block has no transformer of words.
    """

    block: RecordedBlock
    step: int
    rows: np.ndarray
    columns: np.ndarray
    sentences: np.ndarray
    to_class: np.ndarray
    class_token: np.ndarray | None
    words: np.ndarray | None


@torch.no_grad()
def attention_maps(block: RecordedBlock, most: int = MOST_NUMBERS) -> AttentionMaps:
    """Return what the sentences and words of a block read.

    Args:
        block: From :func:`record_blocks`.
        most: The largest number of weights between sentences that are kept.
    """
    (height, width), keys = block.grid, block.key_grid[0] * block.key_grid[1]
    step = 1
    while -(-height // step) * -(-width // step) * keys > most:
        step += 1
    rows, columns = (_middles(side, step) for side in (height, width))
    numbers = (rows[:, None] * width + columns[None]).flatten()
    attention, prefix = block.sentence_attention, block.prefix
    kept = len(rows), len(columns)
    words = None
    if block.word_attention is not None:
        words = _words(block.word_attention, numbers).unflatten(0, kept).numpy()
    if not block.has_queries:
        numbers, kept = numbers[:0], (0, 0)
    weights = [
        attention.rows(part + prefix)[0].mean(dim=0).cpu()
        for part in numbers.to(attention.q.device).split(CHUNK)
    ]
    read = torch.cat(weights) if kept[0] else torch.zeros(0, prefix + keys)  # (r*c, prefix + h'*w')
    class_token = None
    if prefix:
        first = attention.rows(torch.zeros(1, dtype=torch.long, device=attention.q.device))
        class_token = first[0].mean(dim=0)[0, prefix:].reshape(block.key_grid).cpu().numpy()
    return AttentionMaps(
        block=block,
        step=step,
        rows=rows.numpy(),
        columns=columns.numpy(),
        sentences=read[:, prefix:].reshape(*kept, *block.key_grid).numpy(),
        to_class=read[:, :prefix].sum(dim=1).reshape(kept).numpy(),
        class_token=class_token,
        words=words,
    )


def _middles(side: int, step: int) -> Tensor:
    """Return the places in the middle of parts of ``step`` places."""
    starts = torch.arange(0, side, step)
    return (starts + (starts + step).clamp(max=side) - 1) // 2


def _words(attention: AttentionRows, numbers: Tensor) -> Tensor:
    """Return what the words of some sentences read: ``(n, M, M)``, the mean over the heads."""
    parts = []
    for part in numbers.to(attention.q.device).split(16 * CHUNK):
        chosen = AttentionRows(attention.q[part], attention.k[part], attention.v[part])
        parts.append(chosen.rows().mean(dim=1).cpu())
    return torch.cat(parts)


@torch.no_grad()
def principal_colours(features: Tensor) -> np.ndarray:
    """Return a map's three principal components as red, green and blue: ``(h, w, 3)``, uint8.

    The signs of components are arbitrary. Here the largest loading of each is positive.

    Args:
        features: ``(C, h, w)``.
    """
    channels, height, width = features.shape
    points = features.flatten(1).T.double().cpu()  # (N, C)
    points = points - points.mean(dim=0)
    if len(points) < channels:  # the smaller of two matrices that have the same components
        vectors = torch.linalg.eigh(points @ points.T)[1][:, -3:].flip(1)
        loadings = points.T @ vectors
    else:
        loadings = torch.linalg.eigh(points.T @ points)[1][:, -3:].flip(1)
    largest = loadings.gather(0, loadings.abs().argmax(dim=0, keepdim=True))
    scores = points @ (loadings * largest.sign())
    colours = np.zeros((height, width, 3), np.uint8)
    for i, score in enumerate(scores.T):
        colours[..., i] = np.round(stretched(score.reshape(height, width).numpy()) * 255)
    return colours


def stretched(values: np.ndarray) -> np.ndarray:
    """Return values in [0, 1]: from their first to their 99th percentile."""
    low, high = np.percentile(values, (1, 99))
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)
