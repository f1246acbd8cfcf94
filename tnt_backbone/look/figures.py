"""Sheets of pictures as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..run.fonts import use_font_for

COLOURS = 'inferno'  # of matplotlib, for attention and heat maps
OPACITY = (0.3, 0.8)  # of the values 0 and 1 over a picture
PANEL = 2.6  # inches
LONGEST = 100.0  # inches of a sheet


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


def overlay(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a picture with values over it, ``(H, W, 3)``, uint8.

    Args:
        pixels: ``(H, W, 3)``, RGB, uint8.
        values: ``(H, W)`` in [0, 1].
    """
    colours = colour_table()[np.round(values * 255).astype(np.uint8)]
    low, high = OPACITY
    opacity = (low + (high - low) * values)[..., None]
    return np.round(pixels * (1 - opacity) + colours * opacity).astype(np.uint8)


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
    from matplotlib.patches import Rectangle

    panels = [panel for row in rows for panel in row]
    use_font_for(tuple(panel.title for panel in panels))
    lines = [row[i : i + columns] for row in rows for i in range(0, len(row), columns)]
    across = max(map(len, lines))
    tall = np.median([panel.image.shape[0] / panel.image.shape[1] for panel in panels])
    height = PANEL * min(max(float(tall), 0.5), 2.0) + 0.45
    sheet = Figure(
        figsize=(PANEL * max(across, 2), height * len(lines) + 0.4), layout='constrained'
    )
    sheet.suptitle(title, fontsize=10, parse_math=False)
    axes = sheet.subplots(len(lines), across, squeeze=False)
    for line, row in zip(lines, axes, strict=True):
        for axis, panel in zip(row, line, strict=False):
            # an odd number of values per pixel of the file is averaged, not dropped
            smooth = 'antialiased' if panel.image.ndim == 3 else 'nearest'
            axis.imshow(panel.image, cmap='viridis', interpolation=smooth)
            axis.set_title(panel.title, fontsize=8, parse_math=False, wrap=True)
            frames = [(x1, y1, x2 - x1, y2 - y1, 'white', 1.0) for x1, y1, x2, y2 in panel.boxes]
            if panel.mark is not None:
                frames += [(*panel.mark, 'black', 2.4), (*panel.mark, 'cyan', 1.2)]
            for x, y, wide, high, colour, line_width in frames:
                corner = (x - 0.5, y - 0.5)  # matplotlib's pixels reach from -0.5 to 0.5
                axis.add_patch(Rectangle(corner, wide, high, fill=False, ec=colour, lw=line_width))
        for axis in row:
            axis.set_axis_off()
    part = path.with_name(f'.{path.name}.part')
    sheet.savefig(part, format='png', dpi=130)
    part.replace(path)
