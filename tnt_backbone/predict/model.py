"""A trained model: pictures in, results out, in the way of ``tnt test``."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.data import DataLoader

from ..errors import InputError
from ..run.embedded_config import test_dataset
from ..run.few_places import explain_few_places
from .large_pictures import LEAST, MANY_TOKENS, SizeWarning, check_largest, keeps_size
from .panoptic import keep_objects, segments_of
from .pictures import Picture, UnreadablePictureError, find_pictures, read_frames
from .prepare import Preparation, PreparedPictures
from .results import (
    SCORE,
    Classification,
    Detection,
    Result,
    Segmentation,
    check_options,
    labels_of,
)
from .tiles import OVERLAP, detect_in_tiles, require_sahi

FILES = 1024  # that loader processes are started for
TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}


class TrainedModel:
    """A model that predicts on pictures.

    Attributes:
        model: The library's own model, in eval mode.
        cfg: What was used of its config.
        classes: Names of the classes.
        task: ``'detection'``, ``'segmentation'`` or ``'classification'``.
    """

    def __init__(
        self,
        model: nn.Module,
        cfg: Config,
        classes: tuple[str, ...],
        palette: list[tuple[int, int, int]],
    ) -> None:
        self.model: Any = model
        self.cfg = cfg
        self.classes = classes
        self.palette = tuple(palette)
        self._size_warning = SizeWarning(
            'Pass --size 1024 (in Python size=1024) to let it see the picture smaller, or '
            '--tiles 512 to cut it into tiles'
        )
        self.task = TASKS[cfg.default_scope]
        keep_objects(model)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            self.prepare = Preparation(test_dataset(cfg)['pipeline'])

    @property
    def on_gpu(self) -> bool:
        """Whether the model is on a GPU."""
        return next(self.model.parameters()).is_cuda

    def __repr__(self) -> str:
        return f'{type(self).__name__}({type(self.model).__name__}, {len(self.classes)} classes)'

    def predict(
        self,
        source: Any,
        *,
        score: float = SCORE,
        classes: Collection[str] | None = None,
        tiles: int | None = None,
        size: int | None = None,
        batch_size: int = 1,
    ) -> Result | list[Result]:
        """Predict on one picture, or on several.

        Args:
            source: A path or URL of a picture, an array ``(H, W, 3)`` in BGR (as OpenCV reads), or
                a PIL image. A list of these, a folder, a pattern or a video gives a list.
            score: Objects of a lower score are left out.
            classes: Objects of other classes are left out.
            tiles: Side in pixels of overlapping tiles that a large picture is cut into.
            size: The longer side in pixels at which the model sees a picture at most.
            batch_size: Pictures that go through the model together.

        Returns:
            One result for one picture, else a list in the order of the pictures.

        Raises:
            UnreadablePictureError: If a picture is damaged.
            FileNotFoundError: If a path does not exist.
            ValueError: If the source is something else, or the model has no such class.
        """
        parts = source if isinstance(source, list | tuple) else [source]
        pictures = [picture for part in parts for picture in _pictures_of(part)]
        results = []
        for result in self.stream(
            pictures, score=score, classes=classes, tiles=tiles, size=size, batch_size=batch_size
        ):
            if isinstance(result, UnreadablePictureError):
                raise result
            results.append(result)
        is_single = parts is not source and not (
            isinstance(source, str | Path) and pictures[0].path != str(Path(source).absolute())
        )
        return results[0] if is_single and len(results) == 1 else results

    def stream(
        self,
        pictures: Iterable[Picture],
        *,
        score: float = SCORE,
        classes: Collection[str] | None = None,
        tiles: int | None = None,
        size: int | None = None,
        batch_size: int = 1,
        workers: int = 0,
        done: Collection[str] = (),
    ) -> Iterator[Result | UnreadablePictureError]:
        """Return an iterator with a result for each picture, in the order of the pictures.

        Args:
            pictures: From :func:`find_pictures`. A video becomes its frames, read as needed.
            score: Objects of a lower score are left out.
            classes: Objects of other classes are left out.
            tiles: Side in pixels of overlapping tiles that a large picture is cut into.
            size: The longer side in pixels at which the model sees a picture at most. Boxes and
                maps have the picture's own size.
            batch_size: Pictures that go through the model together.
            workers: Processes that read pictures while the model works; frames of videos are
                read by this process.
            done: Names of pictures and frames to leave out.

        Raises:
            ValueError: If the model has no such class, or cannot use tiles or a size, or the score
                is no number from 0 to 1.
            ImportError: If tiles for a detector need sahi, which is not installed.
        """
        # Report what is wrong now, not with the first picture.
        check_options(score, batch_size)
        labels = labels_of(classes, self.classes, self.task)
        self._set_tiles(tiles)
        self._set_size(size, tiles)
        wanted = (picture for picture in frames_of(pictures) if picture.name not in done)
        if tiles and self.task == 'detection':
            return (self._detect_in_tiles(picture, tiles, score, labels) for picture in wanted)
        return self._stream(wanted, score, labels, batch_size, workers)

    def _stream(
        self,
        wanted: Iterator[Picture],
        score: float,
        labels: list[int] | None,
        batch_size: int,
        workers: int,
    ) -> Iterator[Result | UnreadablePictureError]:
        for batch in self.prepared(wanted, batch_size, workers):
            for picture, sample in self.answered(batch, self.model.test_step):
                if isinstance(sample, UnreadablePictureError):
                    yield sample
                else:
                    yield self.result(picture, sample, score, labels)

    def prepared(
        self, wanted: Iterator[Picture], batch_size: int, workers: int
    ) -> Iterator[list[tuple[Picture, Any]]]:
        """Yield batches of pictures that went through the test pipeline.

        Args:
            wanted: Pictures and frames, no videos.
            batch_size: See :meth:`stream`.
            workers: See :meth:`stream`.
        """
        for is_file, group in groupby(wanted, key=lambda picture: picture.pixels is None):
            # Loader processes are started once for many files; few frames are in memory.
            while chunk := list(islice(group, FILES if is_file else batch_size)):
                yield from DataLoader(
                    PreparedPictures(chunk, self.prepare),
                    batch_size=batch_size,
                    num_workers=workers if is_file else 0,
                    collate_fn=list,
                )

    def _set_tiles(self, tiles: int | None) -> None:
        """Let a segmentor slide over the picture, or not; look for what a detector needs."""
        if tiles is not None and self.task == 'classification':
            raise InputError(f'tiles={tiles}: a classifier sees the whole picture. Leave it out')
        if tiles is not None and tiles < LEAST:
            raise InputError(f'tiles={tiles} is a side in pixels, and {LEAST} is the least')
        if self.task == 'segmentation':
            stride = tiles and round(tiles * (1 - OVERLAP))
            slide = {'mode': 'slide', 'crop_size': (tiles, tiles), 'stride': (stride, stride)}
            self.model.test_cfg = ConfigDict(
                {**self.cfg.model.test_cfg, **(slide if tiles else {})}
            )
        elif tiles is not None:
            require_sahi()

    def _set_size(self, size: int | None, tiles: int | None) -> None:
        """Let the model see pictures of at most this size."""
        check_largest(size, self.task)
        if size is None and tiles and self.task == 'detection' and keeps_size(self.prepare.parts):
            # the whole picture is looked at, too
            size = max(tiles, math.isqrt(MANY_TOKENS) * self.token_side)
        with DefaultScope.overwrite_default_scope(self.cfg.default_scope):
            self.prepare.limit(size)

    @property
    def token_side(self) -> int:
        """The side of a sentence in pixels; a guess for backbones that are not ours."""
        return getattr(getattr(self.model, 'backbone', None), 'pad_divisor', 16)

    @property
    def slides(self) -> bool:
        """Whether a window slides over the picture, so that its size does not matter."""
        return self.task == 'segmentation' and self.model.test_cfg.get('mode') == 'slide'

    def _chosen(self, sample: Any, scores: np.ndarray) -> np.ndarray | None:
        """Return the labels that a head for several found, the most certain first; else none."""
        from mmpretrain.models import MultiLabelClsHead

        if not isinstance(getattr(self.model, 'head', None), MultiLabelClsHead):
            return None
        labels = sample.pred_label.numpy().astype(np.int64)
        return labels[np.argsort(-scores[labels], kind='stable')]

    def _detect_in_tiles(
        self, picture: Picture, tiles: int, score: float, labels: list[int] | None
    ) -> Result | UnreadablePictureError:
        def detect(pixels: np.ndarray) -> Detection:
            one = Picture(picture.name, '', pixels)
            (result,) = self._stream(iter([one]), score, labels, 1, 0)
            return result  # type: ignore[return-value]

        try:
            pixels = self.prepare.read(picture).astype(np.uint8)
        except UnreadablePictureError as error:
            return error
        if max(pixels.shape[:2]) <= tiles:  # nothing to merge
            return next(self._stream(iter([picture]), score, labels, 1, 0))
        objects = detect_in_tiles(detect, pixels, tiles, score)
        from mmdet.structures import DetDataSample

        sample = DetDataSample(metainfo={'ori_shape': pixels.shape[:2]}, pred_instances=objects)
        return self.result(picture, sample, score, labels)

    def answered(
        self, batch: list[tuple[Picture, Any]], step: Callable[[Any], Iterable[Any]]
    ) -> list[tuple[Picture, Any]]:
        """Return what a step says about each picture of a batch.

        Pictures of different sizes go through the model one size after the other, so none is padded
        because of another.

        Args:
            batch: From :meth:`prepared`.
            step: Takes a batch as the library's data preprocessor does. It gives one answer per
                picture.

        Returns:
            Pictures and answers in the order of the batch; :class:`UnreadablePictureError` is the
            answer for a damaged picture, and for one that is too small for the model.
        """
        answers: dict[int, Any] = {}
        readable = [i for i, (_, data) in enumerate(batch) if not isinstance(data, str)]
        collate: Callable = default_collate if self.task == 'classification' else pseudo_collate

        def size(i: int) -> tuple[int, ...]:
            return tuple(batch[i][1]['inputs'].shape)

        for _, same in groupby(sorted(readable, key=size), key=size):
            numbers = list(same)
            height, width = size(numbers[0])[-2:]
            if not self.slides:
                self._size_warning.look_at(height, width, self.token_side)
            try:
                with torch.no_grad(), DefaultScope.overwrite_default_scope(self.cfg.default_scope):
                    given = step(collate([batch[i][1] for i in numbers]))
            except Exception as error:
                if text := explain_few_places(error):
                    for i in numbers:
                        where = batch[i][0].path or batch[i][0].name
                        answers[i] = UnreadablePictureError(f'{where}: {text}')
                    continue
                names = ', '.join(batch[i][0].path or batch[i][0].name for i in numbers)
                error.add_note(f'The model saw {names} in {height}x{width} pixels (height x width)')
                raise
            answers.update(zip(numbers, given, strict=True))
        return [
            (picture, answers[i] if i in answers else UnreadablePictureError(data))
            for i, (picture, data) in enumerate(batch)
        ]

    def result(self, picture: Picture, sample: Any, score: float, kept: list[int] | None) -> Result:
        """Return what a data sample of the library says.

        Args:
            picture: The picture.
            sample: Of ``test_step``.
            score: Objects of a lower score are left out.
            kept: Objects of other labels are left out; ``None`` keeps all.
        """
        shared: dict[str, Any] = {
            'name': picture.name,
            'height': int(sample.ori_shape[0]),
            'width': int(sample.ori_shape[1]),
            'classes': self.classes,
            'palette': self.palette,
            '_pixels': picture.path if picture.pixels is None else picture.pixels,
        }
        sample = sample.cpu()
        if self.task == 'classification':
            scores = sample.pred_score.float().numpy()
            chosen = self._chosen(sample, scores)
            return Classification(**shared, _sample=sample, scores=scores, chosen=chosen)
        if self.task == 'segmentation':
            labels = sample.pred_sem_seg.data[0].numpy().astype(np.int64)
            return Segmentation(**shared, _sample=sample, labels=labels)
        objects = sample.pred_instances
        chosen = objects.scores >= score
        if kept is not None:
            chosen &= torch.isin(objects.labels, torch.tensor(kept))
        objects = objects[chosen]
        objects = objects[objects.scores.argsort(descending=True, stable=True)]
        sample.pred_instances = objects
        masks = objects.masks.numpy().astype(bool) if 'masks' in objects else None
        # there may be more names than the model has classes
        fusion = getattr(self.model, 'panoptic_fusion_head', None)
        segments = fusion and segments_of(sample, fusion.num_classes)
        if segments is not None and not len(segments.labels):
            del sample.pred_panoptic_seg  # MMDetection draws at least one segment, or fails
        return Detection(
            **shared,
            _sample=sample,
            boxes=objects.bboxes.float().numpy(),
            scores=objects.scores.float().numpy(),
            labels=objects.labels.numpy(),
            masks=masks,
            segments=segments,
        )


def _pixels_of(image: Any) -> np.ndarray:
    """Return the pixels ``(H, W, 3)``, BGR, of a PIL image, turned as EXIF says, like a file's."""
    from PIL import ImageOps

    if image.mode.startswith(('I', 'F')):
        raise InputError(
            f'source is a PIL image of mode {image.mode}, more than 8 bits. Pass the file, or an '
            'array of uint8'
        )
    return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))[..., ::-1]


def _way_to_pass(source: Any) -> str:
    """Return how to turn something that is no picture into one, if that is known."""
    shape = tuple(getattr(source, 'shape', ()))
    ways = {
        '. PIL.Image.open(io.BytesIO(source)) reads bytes': isinstance(source, bytes | bytearray),
        '. PIL.Image.open(source) reads it': hasattr(source, 'read'),
        '. list(source) is one': isinstance(source, Iterator),
        '. source.permute(1, 2, 0).numpy() has the channels last': isinstance(source, torch.Tensor)
        and len(shape) == 3
        and shape[2] != 3,
        '. source.numpy() is an array': isinstance(source, torch.Tensor),
        '. list(source) has the single pictures': len(shape) == 4,
        '. source.transpose(1, 2, 0) has the channels last': len(shape) == 3 and shape[0] == 3,
        '. source[..., :3] leaves the fourth channel out': len(shape) == 3 and shape[2] == 4,
        '. PIL.Image.fromarray(source) reads grey': len(shape) == 2,
    }
    return next((way for way, fits in ways.items() if fits), '')


def frames_of(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Yield the pictures, and the frames of videos, read as needed."""
    return chain.from_iterable(
        read_frames(picture) if picture.is_video else [picture] for picture in pictures
    )


def _pictures_of(source: Any) -> Iterator[Picture]:
    """Yield the pictures that a caller of Python means."""
    if isinstance(source, str | Path):
        yield from find_pictures([source])
    elif isinstance(source, Picture):
        yield source
    else:
        pixels = _pixels_of(source) if hasattr(source, 'convert') else source
        is_array = isinstance(pixels, np.ndarray)
        if not is_array or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            shape, dtype = (getattr(pixels, key, None) for key in ('shape', 'dtype'))
            kind = type(pixels).__name__
            got = kind if shape is None else f'{kind} {tuple(shape)} of {dtype}'
            raise InputError(
                f'source is {got}: pass a path, a PIL image, or an array (H, W, 3) in BGR, uint8 '
                f'from 0 to 255, or a list of these{_way_to_pass(pixels)}'
            )
        if not pixels.size:
            raise InputError(f'source is an array {pixels.shape}: pass at least one pixel')
        yield Picture('array', '', pixels=np.ascontiguousarray(pixels))
