"""What a model says about one picture."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError, MissingPackageError
from .draw import draw_labels, draw_objects, draw_text
from .panoptic import Segments

PALETTE_SIZE = 256  # colours of a PNG
SCORE = 0.3  # objects of a lower score are left out; MMDetection's threshold for drawing


def check_options(score: float, batch_size: int) -> None:
    """Check what both kinds of models take, which would otherwise find nothing.

    Raises:
        ValueError: If the score is no share, or a batch has no picture.
    """
    if not (isinstance(score, int | float | np.number) and 0 <= score <= 1):
        raise InputError(f'score={score!r}: pass a number from 0 to 1')
    if batch_size < 1:
        raise InputError(f'batch_size={batch_size}: 1 is the least')


def labels_of(classes: Collection[str] | None, known: Sequence[str], task: str) -> list[int] | None:
    """Return the numbers of classes; ``None`` means all.

    Args:
        classes: Their names; a text is one name.
        known: Names of all classes of the model.
        task: Of the model.

    Raises:
        ValueError: If the model has no such class, or finds no objects.
    """
    if classes is None:
        return None
    if isinstance(classes, str):
        classes = [classes]
    if task != 'detection':
        raise InputError(f'classes={list(classes)}: only objects can be left out, not {task}')
    if unknown := [name for name in classes if name not in known]:
        raise InputError(
            f'classes={unknown} are not known to the model. It knows {", ".join(map(repr, known))}'
        )
    return [known.index(name) for name in classes]


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """What all results share.

    Attributes:
        name: What the picture is called.
        height: Of the picture, in pixels, as it is shown (EXIF's orientation applied).
        width: Likewise.
        classes: Names of all classes that the model knows.
    """

    name: str
    height: int
    width: int
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...] = field(repr=False)
    _pixels: np.ndarray | str = field(repr=False)
    _sample: Any = field(repr=False)

    @property
    def pixels(self) -> np.ndarray:
        """The picture ``(H, W, 3)``, RGB, uint8."""
        if isinstance(self._pixels, str):
            import mmcv  # results of exported models do without it

            return mmcv.imread(self._pixels, channel_order='rgb')
        return np.ascontiguousarray(self._pixels[..., ::-1])

    @abstractmethod
    def to_json(self) -> Any:
        """Return what ``predictions.json`` holds of the picture."""

    @abstractmethod
    def draw(self) -> np.ndarray:
        """Return the picture with the predictions, ``(H, W, 3)``, RGB."""


@dataclass(frozen=True, kw_only=True)
class Detection(Result):
    """Objects in a picture, the most certain first.

    Attributes:
        boxes: ``(N, 4)``: x1, y1, x2, y2 in pixels of the picture, float32.
        scores: ``(N,)``: 0 to 1, float32.
        labels: ``(N,)``: indices into ``classes``, int64.
        masks: ``(N, H, W)``, bool; ``None`` if the model predicts none.
        segments: Of the whole picture, objects and stuff, whatever score was asked for; ``None`` if
            the model is no panoptic segmentor.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None
    segments: Segments | None = None

    @property
    def names(self) -> list[str]:
        """The class of each object."""
        return [self.classes[label] for label in self.labels]

    def to_json(self) -> list[dict[str, Any]]:
        """Return COCO's form of results: one dict per object.

        ``category_id`` is the number of the class, from 1, in the order of ``classes``.
        """
        x1, y1, x2, y2 = self.boxes.T if len(self.boxes) else np.zeros((4, 0))
        boxes = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)
        objects: list[dict[str, Any]] = [
            {
                'file_name': self.name,
                'category_id': int(label) + 1,
                'category': self.classes[label],
                'bbox': [round(float(value), 3) for value in box],
                'score': round(float(score), 6),
            }
            for box, score, label in zip(boxes, self.scores, self.labels, strict=True)
        ]
        if self.masks is not None:
            import pycocotools.mask

            for entry, mask in zip(objects, self.masks, strict=True):
                rle = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                entry['segmentation'] = {'size': rle['size'], 'counts': rle['counts'].decode()}
        return objects

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections``.

        Raises:
            ImportError: If the package ``supervision`` is not installed.
        """
        if find_spec('supervision') is None:
            raise MissingPackageError(
                'to_supervision needs the package supervision: pip install supervision'
            )
        import supervision

        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.labels,
            mask=self.masks,
            data={'class_name': np.array(self.names, dtype=str)},
        )

    def draw(self) -> np.ndarray:
        """Return the picture with boxes, masks, names and scores, ``(H, W, 3)``, RGB."""
        if self._sample is None:
            texts = [f'{n}: {s:.2f}' for n, s in zip(self.names, self.scores, strict=True)]
            colours = [self.palette[label] for label in self.labels]
            return draw_objects(self.pixels, self.boxes, texts, colours, self.masks)
        from mmdet.visualization import DetLocalVisualizer

        from ..run.fonts import use_font_for

        use_font_for(self.classes)
        visualizer = DetLocalVisualizer()
        visualizer.dataset_meta = {'classes': self.classes, 'palette': list(self.palette)}
        sample = copy.copy(self._sample)
        if len(self.scores):  # what is drawn last is on top: the most certain object
            order = np.argsort(self.scores, kind='stable')
            sample.pred_instances = self._sample.pred_instances[order]
        visualizer.add_datasample(self.name, self.pixels, sample, draw_gt=False, pred_score_thr=0.0)
        return visualizer.get_image()


@dataclass(frozen=True, kw_only=True)
class Segmentation(Result):
    """The class of each pixel.

    Attributes:
        labels: ``(H, W)``: indices into ``classes``, int64.
    """

    labels: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the share of the picture that each class has, classes without a pixel left out."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        shares = {
            name: round(count / self.labels.size, 6)
            for name, count in zip(self.classes, counts.tolist(), strict=True)
            if count
        }
        return {'file_name': self.name, 'shares': shares}

    def to_image(self) -> Image.Image:
        """Return the label map as a picture with a palette; its pixels are the labels.

        A palette has 256 colours. With more classes the picture is grey, of 16 bits.
        """
        if len(self.classes) > PALETTE_SIZE:
            return Image.fromarray(self.labels.astype(np.uint16))
        image = Image.fromarray(self.labels.astype(np.uint8))
        image.putpalette([value for colour in self.palette for value in colour])
        return image

    def draw(self) -> np.ndarray:
        """Return the picture with the classes in colour, ``(H, W, 3)``, RGB."""
        return draw_labels(self.pixels, self.labels, self.palette)


def _scored(name: str, score: float) -> dict[str, Any]:
    return {'category': name, 'score': round(score, 6)}


@dataclass(frozen=True, kw_only=True)
class Classification(Result):
    """How certain the model is of each class.

    Attributes:
        scores: ``(C,)``: one per class, 0 to 1, float32.
        chosen: ``(N,)``: the classes that a head for several labels finds in the picture, the most
            certain first, int64; ``None`` if a picture has one label.
    """

    scores: np.ndarray
    chosen: np.ndarray | None = None

    @property
    def label(self) -> int:
        """Index of the most certain class."""
        return int(self.scores.argmax())

    def top(self, number: int = 5) -> list[tuple[str, float]]:
        """Return the most certain classes and their scores."""
        order = np.argsort(-self.scores, kind='stable')[:number]
        return [(self.classes[i], float(self.scores[i])) for i in order]

    def to_json(self) -> dict[str, Any]:
        """Return the five most certain classes; with several labels also all that were found."""
        entry = {'file_name': self.name, 'top5': [_scored(*pair) for pair in self.top()]}
        if self.chosen is not None:
            entry['labels'] = [_scored(*pair) for pair in self._found()]
        return entry

    def _found(self) -> list[tuple[str, float]]:
        if self.chosen is None:
            return self.top(1)
        return [(self.classes[i], float(self.scores[i])) for i in self.chosen]

    def draw(self) -> np.ndarray:
        """Return the picture with class and score, ``(H, W, 3)``, RGB."""
        if self._sample is None:
            lines = [f'{name}: {score:.2f}' for name, score in self._found()]
            return draw_text(self.pixels, '\n'.join(lines))
        from mmpretrain.visualization import UniversalVisualizer

        from ..run.fonts import use_font_for

        use_font_for(self.classes)
        visualizer = UniversalVisualizer()
        visualizer.dataset_meta = {'classes': self.classes}
        visualizer.visualize_cls(self.pixels, self._sample, draw_gt=False)
        return visualizer.get_image()
