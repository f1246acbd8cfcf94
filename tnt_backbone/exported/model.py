"""Predictions of an ONNX file of ``tnt export``: NumPy, OpenCV and ONNX Runtime, no torch."""

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from ..datasets.jpeg import is_cut_off
from ..predict.pictures import Picture, UnreadablePictureError, read_frames
from ..predict.results import Classification, Result, Segmentation
from .pipeline import prepare

# What a prediction needs beside task, classes and palette
NEEDED = ('pipeline', 'size', 'bgr_to_rgb', 'mean', 'std', 'size_divisor', 'pad_val')
KEY = 'tnt_backbone'  # of the file's metadata, a JSON text


class ExportedModel:
    """A classifier or a segmentor in an ONNX file.

    Args:
        path: A file that ``tnt export`` wrote.

    Attributes:
        about: The file's metadata (docs/export.md).

    Raises:
        ValueError: If it is no ONNX file, or of another program.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=['CPUExecutionProvider']
            )
        except Exception as error:  # its classes have no common base
            raise ValueError(f'{path} is no ONNX file that can be run: {error}') from error
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise ValueError(
                f'{path} was not written by tnt export: its metadata has no {KEY!r}, so '
                'classes and pipeline are not known. Write one: tnt export CHECKPOINT --out FILE'
            )
        try:
            self.about: dict[str, Any] = json.loads(text)
            self.task: str = self.about['task']
            self.classes = tuple(self.about['classes'])
            self.palette = tuple((r, g, b) for r, g, b in self.about['palette'])
            missing = [key for key in NEEDED if key not in self.about]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} has damaged metadata ({error}). Export it again') from error
        if missing:
            raise ValueError(f'{path} has no {", ".join(missing)} in its metadata. Export it again')

    def stream(
        self, pictures: Iterable[Picture], *, batch_size: int = 1, done: Collection[str] = ()
    ) -> Iterator[Result | UnreadablePictureError]:
        """Return an iterator with a result for each picture, in the order of the pictures.

        Args:
            pictures: From ``find_pictures``. A video becomes its frames.
            batch_size: Pictures that go through the model together.
            done: Names of pictures and frames to leave out.

        Raises:
            ValueError: If a picture, after the pipeline, is not of the size that was exported.
        """
        frames = chain.from_iterable(
            read_frames(picture) if picture.is_video else [picture] for picture in pictures
        )
        batch: list[tuple[Picture, np.ndarray | UnreadablePictureError]] = []
        for picture in frames:
            if picture.name not in done:
                batch.append((picture, _read(picture)))
            if len(batch) == batch_size:
                yield from self._predict(batch)
                batch = []
        yield from self._predict(batch)

    def _predict(
        self, batch: list[tuple[Picture, np.ndarray | UnreadablePictureError]]
    ) -> Iterator[Result | UnreadablePictureError]:
        ready = [self._input(pic, image) for pic, image in batch if isinstance(image, np.ndarray)]
        outputs = iter(self._run(np.stack(ready)) if ready else [])
        for picture, image in batch:
            if isinstance(image, UnreadablePictureError):
                yield image
            else:
                yield self._result(picture, image, next(outputs))

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._session.get_inputs()[0].name: inputs})[0]

    def _input(self, picture: Picture, image: np.ndarray) -> np.ndarray:
        image = prepare(image, self.about['pipeline'])
        size, wanted = list(image.shape[:2]), self.about['size']
        if size != wanted:
            raise ValueError(
                f'{picture.path}: the picture is {size} (height, width) after the pipeline, the '
                f'model was exported for {wanted}. Export it again with --size {size[0]} {size[1]}'
            )
        if self.about['bgr_to_rgb']:
            image = image[..., ::-1]
        values = image.astype(np.float32)
        if self.about['mean'] is not None:
            mean, std = (np.array(self.about[key], np.float32) for key in ('mean', 'std'))
            values = (values - mean) / std
        extra = [-side % self.about['size_divisor'] for side in size]
        values = np.pad(values, ((0, extra[0]), (0, extra[1]), (0, 0)),
                        constant_values=self.about['pad_val'])  # fmt: skip
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    def _result(self, picture: Picture, image: np.ndarray, output: np.ndarray) -> Result:
        height, width = image.shape[:2]
        shared: dict[str, Any] = {
            'name': picture.name,
            'height': height,
            'width': width,
            'classes': self.classes,
            'palette': self.palette,
            '_pixels': image,
            '_sample': None,
        }
        if self.task == 'classification':
            return Classification(**shared, scores=output)
        logits = output[:, : self.about['size'][0], : self.about['size'][1]]
        if logits.shape[1:] != (height, width):  # as torch's interpolate, align_corners=False
            logits = np.stack([cv2.resize(channel, (width, height)) for channel in logits])
        return Segmentation(**shared, labels=logits.argmax(0))


def _read(picture: Picture) -> np.ndarray | UnreadablePictureError:
    """Return the pixels ``(H, W, 3)``, BGR, uint8, or why there are none."""
    if picture.pixels is not None:
        return picture.pixels
    try:
        data = Path(picture.path).read_bytes()
    except OSError as error:
        return UnreadablePictureError(f'{picture.path}: {error}')
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None or is_cut_off(data):
        return UnreadablePictureError(f'{picture.path}: its {len(data)} bytes are damaged')
    return image
