"""Vectors of pictures and of boxes, pooled from the outputs of the backbone."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..backbones.base import TokenBackbone
from ..errors import InputError
from ..predict.model import TrainedModel, frames_of
from ..predict.pictures import Picture, UnreadablePictureError
from ..predict.results import SCORE, Detection, check_options, labels_of
from .boxes_file import Boxes
from .explain import backbone_of
from .heat import nearest_stride

CROPPED = (
    'the test pipeline cuts or flips pictures, so boxes cannot be followed to the features. Pass a '
    'config whose test pipeline only resizes: --config FILE'
)


@dataclass(frozen=True)
class Vectors:
    """The vectors of one picture.

    Attributes:
        name: What the picture is called.
        vectors: ``(n, C)``, float32: one of the picture, or one per box.
        boxes: The boxes; ``None`` if the vector is of the picture.
    """

    name: str
    vectors: np.ndarray
    boxes: Boxes | None


def embed(
    model: TrainedModel,
    pictures: Iterable[Picture],
    *,
    objects: bool = False,
    boxes: Mapping[str, Boxes] | None = None,
    level: int | None = None,
    score: float = SCORE,
    classes: Collection[str] | None = None,
    batch_size: int = 1,
    workers: int = 0,
) -> Iterator[Vectors | UnreadablePictureError]:
    """Return an iterator over the vectors of pictures, in the order of the pictures.

    A picture's vector is the mean of a map over the picture, without padding, or the vector that a
    classifier's backbone gives. A box's vector is the mean of a map over the box (RoIAlign, one
    bin). The vectors do not depend on the size of the batch.

    Args:
        model: From :func:`tnt_backbone.load_model`.
        pictures: From :func:`find_pictures`. A video becomes its frames.
        objects: Vectors of the objects that the detector finds.
        boxes: Vectors of these boxes, by the name of the picture; in pixels of the file.
        level: Output of the backbone that is pooled, counted from 0; negative ones from the end.
            Default: the last for pictures, the finest for boxes.
        score: With ``objects``: objects of a lower score are left out.
        classes: With ``objects``: objects of other classes are left out.
        batch_size: Pictures that go through the model together.
        workers: Processes that read pictures.

    Raises:
        ValueError: If the model finds no objects, has no such level, or gives no maps for boxes.
    """
    if objects and boxes is not None:
        raise InputError('--objects and --boxes both name boxes. Pass one of them')
    if objects and model.task != 'detection':
        raise InputError(
            f'--objects needs a detector, and this is for {model.task}. Pass --boxes FILE'
        )
    check_options(score, batch_size)
    kept = labels_of(classes, model.classes, model.task)
    read = _Reader(model, level, of_boxes=objects or boxes is not None)

    def generate() -> Iterator[Vectors | UnreadablePictureError]:
        step = read.maps_and_objects if objects else read.maps_only
        for batch in model.prepared(frames_of(pictures), batch_size, workers):
            for picture, answer in model.answered(batch, step):
                if isinstance(answer, UnreadablePictureError):
                    yield answer
                    continue
                features, content, sample = answer
                if objects:
                    found = model.result(picture, sample, score, kept)
                    chosen = _boxes_of(found)  # type: ignore[arg-type]
                elif boxes is not None:
                    chosen = boxes.get(picture.name, Boxes.none())
                    if fault := _find_other_size(picture, sample, chosen):
                        yield fault
                        continue
                else:
                    vector = _of_picture(features, content, read.stride_of(features, content))
                    yield Vectors(picture.name, vector[None], None)
                    continue
                rows = _of_boxes(features, chosen.boxes, sample, read.stride_of(features, content))
                yield Vectors(picture.name, rows, chosen)

    return generate()


class _Reader:
    """Runs a model and keeps one output of its backbone.

    Args:
        model: The model.
        level: See :func:`embed`.
        of_boxes: Whether boxes are pooled, which needs maps.
    """

    def __init__(self, model: TrainedModel, level: int | None, *, of_boxes: bool) -> None:
        self.network = model.model
        self.backbone = backbone_of(model)
        self.level = (0 if of_boxes else -1) if level is None else level
        self.of_boxes = of_boxes
        self.padded: tuple[int, int] = (0, 0)
        if isinstance(self.backbone, TokenBackbone):
            self._check(len(self.backbone.out_strides))
            kind = self.backbone.out_type
            if kind == 'raw' or (of_boxes and kind not in ('pyramid', 'featmap')):
                raise InputError(
                    f'the backbone gives out_type={kind!r}, which has no map to pool. Pass a '
                    "config with out_type='featmap': --config FILE"
                )

    def _check(self, number: int) -> None:
        if not -number <= self.level < number:
            raise InputError(
                f'--level {self.level} does not exist: the backbone has {number} outputs. Pass a '
                f'number from 0 to {number - 1}'
            )

    def maps_only(self, data: Any) -> list[tuple[Tensor, tuple[int, int], Any]]:
        """Return map, size without padding and data sample of each picture of a batch."""
        ready = self.network.data_preprocessor(data, False)
        self.padded = tuple(ready['inputs'].shape[2:])
        outputs = self.backbone(ready['inputs'])
        return self._split(data, outputs, ready['data_samples'])

    def maps_and_objects(self, data: Any) -> list[tuple[Tensor, tuple[int, int], Any]]:
        """Return the same, with the objects that were found in the data samples."""
        outputs: list[Any] = []

        def note(module: Any, args: tuple[Any, ...], result: Any) -> None:
            self.padded = tuple(args[0].shape[2:])
            outputs[:] = result

        handle = self.backbone.register_forward_hook(note)
        try:
            samples = self.network.test_step(data)
        finally:
            handle.remove()
        return self._split(data, outputs, samples)

    def _split(
        self, data: Any, outputs: Any, samples: Any
    ) -> list[tuple[Tensor, tuple[int, int], Any]]:
        parts = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        self._check(len(parts))
        features = parts[self.level]
        allowed = (4,) if self.of_boxes else (2, 4)
        if not isinstance(features, Tensor) or features.ndim not in allowed:
            raise InputError(
                f'{type(self.backbone).__name__} gives no maps (B, C, h, w) to pool. Pass a config '
                'whose backbone does: --config FILE'
            )
        sizes = [tuple(inputs.shape[1:]) for inputs in data['inputs']]
        return list(zip(features, sizes, samples, strict=True))

    def stride_of(self, features: Tensor, content: tuple[int, int]) -> int:
        """Return the stride of a map in pixels."""
        if features.ndim == 1:
            return 1
        if isinstance(self.backbone, TokenBackbone):
            return self.backbone.out_strides[self.level]
        return nearest_stride(self.padded, features[None])


def _of_picture(features: Tensor, content: tuple[int, int], stride: int) -> np.ndarray:
    """Return ``(C,)``: the mean of the cells that show something of the picture."""
    if features.ndim == 1:
        return features.float().cpu().numpy()
    rows, columns = (math.ceil(side / stride) for side in content)
    return features[:, :rows, :columns].float().mean(dim=(1, 2)).cpu().numpy()


def _of_boxes(features: Tensor, boxes: np.ndarray, sample: Any, stride: int) -> np.ndarray:
    """Return ``(n, C)``: the mean of a map over each box, which is in pixels of the file."""
    from torchvision.ops import roi_align

    scale = torch.tensor(_scale_of(sample.metainfo) * 2, device=features.device)
    placed = torch.from_numpy(boxes).to(features.device, torch.float32) * scale
    pooled = roi_align(
        features[None].float(), [placed], output_size=1, spatial_scale=1 / stride, aligned=True
    )
    return pooled.flatten(1).cpu().numpy()


def _scale_of(meta: Mapping[str, Any]) -> tuple[float, float]:
    """Return what the pipeline multiplied x and y with.

    Raises:
        ValueError: If it did more than resize.
    """
    (height, width), (new_height, new_width) = meta['ori_shape'][:2], meta['img_shape'][:2]
    x, y = meta.get('scale_factor', (1.0, 1.0))[:2]
    is_resized = abs(width * x - new_width) <= 1 and abs(height * y - new_height) <= 1
    if not is_resized or meta.get('flip'):
        raise InputError(CROPPED)
    return float(x), float(y)


def _find_other_size(picture: Picture, sample: Any, boxes: Boxes) -> UnreadablePictureError | None:
    """Return an error if boxes were drawn on a picture of another size: they lie elsewhere now."""
    height, width = sample.metainfo['ori_shape'][:2]
    if boxes.size in (None, (height, width)):
        return None
    return UnreadablePictureError(
        f'{picture.path or picture.name} has {height}x{width} pixels (height x width, turned as '
        f'EXIF says), but --boxes has its boxes on {boxes.size[0]}x{boxes.size[1]}. Correct the '
        'file: tnt new --data FILE writes a corrected copy (docs/datasets.md)'
    )


def _boxes_of(found: Detection) -> Boxes:
    return Boxes(found.boxes, found.scores, tuple(found.names))
