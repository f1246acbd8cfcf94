"""Textured backgrounds: one function a texture, each a pattern of values from 0 to 1."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Pattern = NDArray[np.float32]

SPREAD = 40  # of 255: how far the shades of a background lie from their mean
CHROMA = 25  # of 255: how far that mean lies from grey, in each channel
BRIGHTNESS = (20, 110)  # of 255: that mean; digits are brighter


def noise(rng: Generator, height: int, width: int) -> Pattern:
    """Smooth noise of a few frequencies, the fine ones weaker or as strong as the coarse ones."""
    roughness = rng.uniform(0.4, 1.0)
    cells = rng.uniform(1.5, 5.0)  # of the coarsest noise, along the shorter side
    pattern = np.zeros((height, width), np.float32)
    weight = 1.0
    while cells <= min(height, width):
        grid = [max(round(cells * side / min(height, width)), 1) + 1 for side in (height, width)]
        coarse = rng.standard_normal(grid, np.float32)
        pattern += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        cells *= 2.5
        weight *= roughness
    return _to_unit_range(pattern)


def gradient(rng: Generator, height: int, width: int) -> Pattern:
    """Light from one side, or from a spot."""
    rows, columns = _grid(height, width)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        return _to_unit_range(rows * np.sin(angle) + columns * np.cos(angle))
    row, column = rng.uniform(0, height), rng.uniform(0, width)
    return _to_unit_range(np.hypot(rows - row, columns - column))


def stripes(rng: Generator, height: int, width: int) -> Pattern:
    """Parallel waves, soft or hard-edged, a little bent."""
    rows, columns = _grid(height, width)
    angle = rng.uniform(0, np.pi)
    period = rng.uniform(0.05, 0.4) * min(height, width)
    bend = rng.uniform(0, 0.5) * period * noise(rng, height, width)
    wave = np.sin(2 * np.pi * (rows * np.sin(angle) + columns * np.cos(angle) + bend) / period)
    return _to_unit_range(np.tanh(rng.uniform(0.5, 4.0) * wave))


def checks(rng: Generator, height: int, width: int) -> Pattern:
    """A tilted chequerboard."""
    rows, columns = _grid(height, width)
    angle = rng.uniform(0, np.pi / 2)
    side = rng.uniform(0.06, 0.3) * min(height, width)
    across = np.floor((rows * np.sin(angle) + columns * np.cos(angle)) / side)
    along = np.floor((rows * np.cos(angle) - columns * np.sin(angle)) / side)
    return ((across + along) % 2).astype(np.float32)


def clutter(rng: Generator, height: int, width: int) -> Pattern:
    """Ellipses, boxes and lines of any shade, thrown on one another."""
    pattern = np.full((height, width), rng.random(), np.float32)
    reach = min(height, width)
    for _ in range(rng.integers(6, 25)):
        shade = float(rng.random())
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        half = tuple(int(side) for side in rng.integers(1, max(reach // 6, 2), 2))
        thickness = (-1, 1, max(reach // 40, 1))[rng.integers(3)]  # -1 fills the shape
        match rng.integers(3):
            case 0:
                cv2.ellipse(
                    pattern, centre, half, float(rng.uniform(0, 180)), 0, 360, shade, thickness
                )
            case 1:
                corner = (centre[0] + half[0], centre[1] + half[1])
                cv2.rectangle(pattern, centre, corner, shade, thickness)
            case 2:
                end = (int(rng.integers(width)), int(rng.integers(height)))
                cv2.line(pattern, centre, end, shade, abs(thickness))
    return pattern


TEXTURES: tuple[Callable[[Generator, int, int], Pattern], ...] = (
    noise,
    gradient,
    stripes,
    checks,
    clutter,
)


def background(rng: Generator, height: int, width: int) -> NDArray[np.float32]:
    """Two textures in two colours each, blended.

    Returns:
        ``(height, width, 3)`` from 0 to 255. Each channel spreads over at most ``2 * SPREAD``,
        so that digits can stand out.
    """
    base = rng.uniform(*BRIGHTNESS) + rng.uniform(-CHROMA, CHROMA, 3)
    picture = np.zeros((height, width, 3), np.float32)
    share = rng.uniform(0.3, 0.7)
    for weight in (share, 1 - share):
        texture = TEXTURES[rng.integers(len(TEXTURES))]
        pattern = texture(rng, height, width)
        dark, light = (base + rng.uniform(-SPREAD, SPREAD, (2, 3))).astype(np.float32)
        for channel in range(3):  # NumPy is slow over a last axis of 3
            shade = dark[channel] + (light[channel] - dark[channel]) * pattern
            picture[..., channel] += weight * shade
    return np.clip(picture, 0, 255)


def _grid(height: int, width: int) -> tuple[Pattern, Pattern]:
    rows, columns = (np.arange(side, dtype=np.float32) for side in (height, width))
    return rows[:, None], columns


def _to_unit_range(pattern: Pattern) -> Pattern:
    low, high = pattern.min(), pattern.max()
    return ((pattern - low) / max(high - low, 1e-6)).astype(np.float32)
