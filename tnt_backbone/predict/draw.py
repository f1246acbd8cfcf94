"""Predictions drawn with Pillow, where the libraries' visualizers are not installed."""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
OPACITY = 0.5  # of masks and label maps


def class_colours(classes: Sequence[str]) -> list[Colour]:
    """Return a colour per class: neighbours differ, and a class called background is black."""
    colours: list[Colour] = []
    for label, name in enumerate(classes):
        hue, value = label * 0.61803 % 1, (0.95, 0.75, 0.55)[label % 3]
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.8, value))
        is_background = name.strip().lower() in ('background', '_background_')
        colours.append((0, 0, 0) if is_background else (red, green, blue))
    return colours


def draw_objects(
    pixels: np.ndarray,
    boxes: np.ndarray,
    texts: list[str],
    colours: list[Colour],
    masks: np.ndarray | None = None,
    *,
    width: int | None = None,
    opacity: float = OPACITY,
) -> np.ndarray:
    """Return the picture with boxes, masks and texts.

    Args:
        pixels: ``(H, W, 3)``, RGB, uint8; it is not changed.
        boxes: ``(N, 4)``: x1, y1, x2, y2 in pixels. The first is on top.
        texts: Of each box.
        colours: Of each box.
        masks: ``(N, H, W)``, bool.
        width: Of the lines, in pixels; by default it grows with the picture.
        opacity: Of the masks, 0 to 1.
    """
    pixels = pixels.copy()
    for mask, colour in zip(() if masks is None else masks, colours, strict=False):
        pixels[mask] = _blend(pixels[mask], np.array(colour), opacity)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    width = width or max(1, round(min(image.size) / 300))
    for box, text, colour in reversed(list(zip(boxes.tolist(), texts, colours, strict=True))):
        draw.rectangle(box, outline=colour, width=width)
        write(draw, (box[0], box[1]), text, colour, image.size)
    return np.asarray(image)


def draw_labels(
    pixels: np.ndarray, labels: np.ndarray, palette: Any, *, opacity: float = OPACITY
) -> np.ndarray:
    """Return the picture with the colour of each pixel's class.

    Args:
        pixels: ``(H, W, 3)``, RGB, uint8.
        labels: ``(H, W)``: indices into the palette.
        palette: ``(C, 3)``, RGB.
        opacity: Of the colours, 0 to 1.
    """
    return _blend(pixels, np.array(palette)[labels], opacity)


def draw_text(pixels: np.ndarray, text: str) -> np.ndarray:
    """Return the picture with a text in its upper left corner."""
    image = Image.fromarray(pixels)
    write(ImageDraw.Draw(image), (0, 0), text, (0, 0, 0), image.size)
    return np.asarray(image)


def write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    colour: Colour,
    size: tuple[int, int],
) -> None:
    """Write a text on a ground of the colour, within the picture as far as it fits.

    Args:
        draw: Of the picture.
        corner: x and y of the text's upper left corner.
        text: Characters that the font does not have become empty boxes.
        colour: RGB.
        size: Width and height of the picture.
    """
    font = ImageFont.load_default(max(9, min(size) / 40))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    x = max(0, min(corner[0], size[0] - right))
    y = max(0, min(corner[1], size[1] - bottom))
    draw.rectangle((x + left, y + top, x + right, y + bottom), fill=colour)
    is_light = np.dot(colour, (0.299, 0.587, 0.114)) > 140
    draw.text((x, y), text, font=font, fill=(0, 0, 0) if is_light else (255, 255, 255))


def _blend(pixels: np.ndarray, colours: np.ndarray, opacity: float) -> np.ndarray:
    mixed = pixels * (1 - opacity) + colours * opacity
    return mixed.round().astype(np.uint8)
