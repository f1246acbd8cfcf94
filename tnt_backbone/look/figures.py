"""Sheets of pictures as PNG files."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..run.fonts import use_font_for
from ..whole_file import whole_file

COLOURS = 'inferno'  # of matplotlib, for attention and heat maps
OPACITY = (0.3, 0.8)  # of the values 0 and 1 over a picture
PANEL = 340  # pixels: the width of a panel
GAP = 8  # pixels between panels
TITLE = 40  # pixels: two lines above a panel
DOTS = 130  # per inch, for the size of the text
LETTERS = 50  # that fit into a line


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        title: What is written above it.
        image: ``(H, W, 3)``, uint8, or values ``(H, W)`` that are drawn in colours.
        boxes: ``(N, 4)``: x1, y1, x2, y2 in pixels of the image.
        mark: ``(x, y, width, height)`` of a cell that is framed.
    """

    title: str
    image: np.ndarray
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    mark: tuple[float, float, float, float] | None = None


def colour_table() -> np.ndarray:
    """Return the colours of the values 0 to 255: ``(256, 3)``, uint8."""
    import matplotlib

    return np.round(matplotlib.colormaps[COLOURS](np.arange(256))[:, :3] * 255).astype(np.uint8)


def overlay(
    pixels: np.ndarray, values: np.ndarray, opacity: tuple[float, float] = OPACITY
) -> np.ndarray:
    """Return a picture with values over it, ``(H, W, 3)``, uint8.

    Args:
        pixels: ``(H, W, 3)``, RGB, uint8.
        values: ``(H, W)`` in [0, 1].
        opacity: Of the values 0 and 1.
    """
    colours = colour_table()[np.round(values * 255).astype(np.uint8)]
    low, high = opacity
    share = (low + (high - low) * values)[..., None]
    return np.round(pixels * (1 - share) + colours * share).astype(np.uint8)


def spread(values: np.ndarray, size: tuple[int, int], stride: int | None = None) -> np.ndarray:
    """Return values of cells as values of pixels: ``(h, w) -> (H, W)``, divided by the largest.

    Args:
        values: One per cell, not negative.
        size: ``(H, W)``.
        stride: Side of a cell in pixels; by default the cells fill the size.
    """
    places = []
    for number, side in zip(values.shape, size, strict=True):
        cells = np.arange(side) // stride if stride else np.arange(side) * number // side
        places.append(np.minimum(cells, number - 1))
    return values[np.ix_(*places)] / max(float(values.max()), 1e-12)


def write_sheet(path: Path, title: str, rows: Sequence[Sequence[Panel]], columns: int = 7) -> None:
    """Write panels as a PNG file.

    Args:
        path: The file; it is replaced as a whole.
        title: Of the sheet.
        rows: Panels that belong together are in one row; long rows are broken.
        columns: The largest number of panels side by side.
    """
    from matplotlib.figure import Figure

    use_font_for((title, *(panel.title for row in rows for panel in row)))
    lines = [row[i : i + columns] for row in rows for i in range(0, len(row), columns)]
    texts, placed = [(GAP, GAP, _shortened(title, 2 * LETTERS), 10)], []
    top = TITLE
    for line in lines:
        images = [draw_panel(panel) for panel in line]
        for i, (panel, image) in enumerate(zip(line, images, strict=True)):
            left = GAP + i * (PANEL + GAP)
            texts.append((left, top, _shortened(panel.title, LETTERS), 8))
            placed.append((left, top + TITLE, image))
        top += TITLE + max(image.height for image in images) + GAP
    size = (GAP + max(2, *map(len, lines)) * (PANEL + GAP), top)
    sheet = Image.new('RGB', size, 'white')
    for left, y, image in placed:
        sheet.paste(image, (left, y))
    # matplotlib writes the texts, with the fonts of use_font_for
    figure = Figure(figsize=(size[0] / DOTS, size[1] / DOTS), dpi=DOTS)
    figure.figimage(np.asarray(sheet))
    for x, y, text, points in texts:
        place = (x / size[0], 1 - y / size[1])
        figure.text(*place, text, fontsize=points, va='top', parse_math=False)
    with whole_file(path) as part:
        figure.savefig(part, format='png', dpi=DOTS)


def _shortened(text: str, letters: int) -> str:
    """Return at most two lines of text."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, letters)]
    return '\n'.join(lines[:2]) + (' ...' if len(lines) > 2 else '')


def draw_panel(panel: Panel, width: int = PANEL) -> Image.Image:
    """Return the image of a panel with its frames.

    Args:
        panel: The panel. Its title is not drawn.
        width: In pixels; the height follows.
    """
    pixels = panel.image if panel.image.ndim == 3 else _coloured(panel.image)
    scale = width / pixels.shape[1]
    image = Image.fromarray(pixels)
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    image = image.resize((width, max(1, round(pixels.shape[0] * scale))), way)
    draw = ImageDraw.Draw(image)
    frames = [(box, 'white', 2) for box in panel.boxes.tolist()]
    if panel.mark is not None:
        x, y, across, down = panel.mark
        frames += [((x, y, x + across, y + down), 'black', 4)]
        frames += [((x, y, x + across, y + down), 'cyan', 2)]
    for box, colour, line in frames:
        x1, y1, x2, y2 = (value * scale for value in box)
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
    return image


def _coloured(values: np.ndarray) -> np.ndarray:
    """Return values as colours between the smallest and the largest; NaN is white."""
    import matplotlib

    low, high = np.nanmin(values), np.nanmax(values)
    colours = matplotlib.colormaps['viridis']((values - low) / max(high - low, 1e-12))[..., :3]
    colours[np.isnan(values)] = 1
    return np.round(colours * 255).astype(np.uint8)
