"""What a model says about one picture, at the size of a screen."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ..predict.draw import draw_labels, draw_objects, draw_text
from ..predict.results import Classification, Result, Segmentation

SMALL, LARGE = 900, 1600  # pixels of the longer side of a picture on the page
LEAST_SCORE = 0.05  # objects below it are not shown, whatever is chosen


@dataclass(frozen=True)
class Answer:
    """A prediction at the size of a screen.

    Attributes:
        pixels: ``(H, W, 3)``, RGB, uint8: the picture.
        scale: Pixels of ``pixels`` per pixel of the file.
        palette: A colour per class.
        rows: What the table says, one row per object or class.
        boxes: ``(N, 4)`` in ``pixels``; ``None`` if the model finds no objects.
        masks: ``(N, H, W)``, bool; ``None`` if it predicts none.
        labels: ``(H, W)``: the class of each pixel; ``None`` if it predicts none.
    """

    pixels: np.ndarray
    scale: float
    palette: tuple[tuple[int, int, int], ...]
    rows: list[dict[str, Any]]
    boxes: np.ndarray | None = None
    masks: np.ndarray | None = None
    labels: np.ndarray | None = None

    def at_least(self, score: float) -> 'Answer':
        """Return the answer without objects of a lower score; others stay as they are."""
        if self.boxes is None:
            return self
        # in float32, as the models compare
        kept = [i for i, row in enumerate(self.rows) if np.float32(row['score']) >= score]
        return replace(
            self,
            rows=[self.rows[i] for i in kept],
            boxes=self.boxes[kept],
            masks=None if self.masks is None else self.masks[kept],
        )

    def draw(self, opacity: float) -> np.ndarray:
        """Return the picture with the prediction, ``(H, W, 3)``, RGB.

        Args:
            opacity: Of masks and label maps, 0 to 1.
        """
        if self.labels is not None:
            return draw_labels(self.pixels, self.labels, self.palette, opacity=opacity)
        if self.boxes is None:
            return draw_text(self.pixels, f'{self.rows[0]["name"]}: {self.rows[0]["score"]:.2f}')
        texts = [f'{row["name"]}: {row["score"]:.2f}' for row in self.rows]
        colours = [row['colour'] for row in self.rows]
        return draw_objects(self.pixels, self.boxes, texts, colours, self.masks, opacity=opacity)


def screen_scale(size: tuple[int, ...]) -> float:
    """Return the factor that brings a picture ``(H, W)`` to the size of a screen."""
    longer = max(size)
    return min(max(longer, SMALL), LARGE) / longer


def answer_of(result: Result) -> Answer:
    """Return the answer that a result holds."""
    pixels = result.pixels
    scale = screen_scale(pixels.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    shared: dict[str, Any] = {
        'pixels': _resized(pixels, scale, way),
        'scale': scale,
        'palette': result.palette,
    }
    if isinstance(result, Segmentation):
        rows = [
            {'name': name, 'share': share, 'colour': result.palette[result.classes.index(name)]}
            for name, share in sorted(result.to_json()['shares'].items(), key=lambda x: -x[1])
        ]
        labels = _resized(result.labels.astype(np.uint16), scale, cv2.INTER_NEAREST)
        return Answer(**shared, rows=rows, labels=labels)
    if isinstance(result, Classification):
        return Answer(**shared, rows=[{'name': n, 'score': s} for n, s in result.top()])
    return _objects(result, shared)


def _objects(result: Any, shared: dict[str, Any]) -> Answer:
    masks, scale = result.masks, shared['scale']
    rows = [
        {'name': name, 'score': float(score), 'box': box, 'colour': result.palette[label]}
        for name, score, box, label in zip(
            result.names, result.scores, result.boxes.tolist(), result.labels, strict=True
        )
    ]
    if masks is not None:
        for row, mask in zip(rows, masks, strict=True):
            row['pixels'] = int(mask.sum())
        size = shared['pixels'].shape[:2]
        small = [_resized(mask.astype(np.uint8), scale, cv2.INTER_NEAREST) for mask in masks]
        masks = np.array(small, bool).reshape(-1, *size)
    return Answer(**shared, rows=rows, boxes=result.boxes * scale, masks=masks)


def _resized(image: np.ndarray, scale: float, way: int) -> np.ndarray:
    if scale == 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=way)
