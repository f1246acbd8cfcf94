"""Predictions of a file of ``tnt export``: NumPy, OpenCV and the file's own runtime, no torch."""

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..predict.large_pictures import SizeWarning, check_largest, resized_to
from ..predict.pictures import (
    Picture,
    UnreadablePictureError,
    named_if_too_narrow,
    read_frames,
)
from ..predict.results import (
    SCORE,
    Classification,
    Detection,
    Result,
    Segmentation,
    check_options,
    labels_of,
)
from .classify import choose
from .detector import detect
from .inputs import Input, read, stack, to_input
from .segment import segment
from .session import KEY, open_session, part_path

# What a prediction needs beside task, classes and palette
NEEDED = (
    *('pipeline', 'size', 'square', 'bgr_to_rgb', 'mean', 'std', 'size_divisor', 'pad_val'),
    *('parts', 'id'),
)


class ExportedModel:
    """A classifier, segmentor or detector in a file, or in files beside each other.

    Args:
        path: A file that ``tnt export`` wrote.

    Attributes:
        about: The file's metadata (docs/export.md).
        task: ``'detection'``, ``'segmentation'`` or ``'classification'``.
        classes: Names of the classes.

    Raises:
        FileNotFoundError: If the file, or a part of it, does not exist.
        ValueError: If it is of another program, or its parts are of different exports.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        first = open_session(path)
        self.about = _metadata(path, first.text)
        if 'part' in self.about:
            whole = path.with_name(path.name.replace(f'.{self.about["part"]}.', '.'))
            raise InputError(f'{path} is a part of another file. Pass that: {whole}')
        try:
            self.task: str = self.about['task']
            self.classes = tuple(self.about['classes'])
            self.palette = tuple((r, g, b) for r, g, b in self.about['palette'])
            missing = [key for key in NEEDED if key not in self.about]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{path} has damaged metadata ({error}). Export it again') from error
        if missing:
            raise InputError(f'{path} has no {", ".join(missing)} in its metadata. Export it again')
        self.networks = {'': first}
        for part in self.about['parts']:
            file = part_path(path, part)
            self.networks[part] = open_session(file)
            if _metadata(file, self.networks[part].text).get('id') != self.about['id']:
                raise InputError(f'{file} and {path} are of different exports. Export them again')
        self._size_warning = SizeWarning('Pass --size 1024 to let it see the picture smaller')

    def stream(
        self,
        pictures: Iterable[Picture],
        *,
        score: float = SCORE,
        classes: Collection[str] | None = None,
        size: int | None = None,
        batch_size: int = 1,
        done: Collection[str] = (),
    ) -> Iterator[Result | UnreadablePictureError]:
        """Return an iterator with a result for each picture, in the order of the pictures.

        For a picture that is damaged, or not of the size that was exported after the pipeline, it
        has an error instead.

        Args:
            pictures: From ``find_pictures``. A video becomes its frames.
            score: Objects of a lower score are left out.
            classes: Objects of other classes are left out.
            size: The longer side in pixels at which the model sees a picture at most. Boxes and
                maps have the picture's own size.
            batch_size: Pictures that go through the model together.
            done: Names of pictures and frames to leave out.

        Raises:
            ValueError: If the model has no such class, or cannot use a size.
        """
        check_options(score, batch_size)
        labels = labels_of(classes, self.classes, self.task)
        self._check_size(size)
        return self._stream(pictures, score, labels, size, batch_size, done)

    def _check_size(self, size: int | None) -> None:
        check_largest(size, self.task)
        if size is None:
            return
        if self.about['size'] and 'slide' not in self.about:
            height, width = self.about['size']
            raise InputError(
                f'size={size}: the file takes pictures of {width}x{height} pixels only. Leave it '
                'out, or export again'
            )
        if self.about.get('align_corners'):
            raise InputError(
                f'size={size}: the logits of a file with align_corners=True are not resized. Pass '
                'the checkpoint instead of the file'
            )

    def _stream(
        self,
        pictures: Iterable[Picture],
        score: float,
        labels: list[int] | None,
        largest: int | None,
        batch_size: int,
        done: Collection[str],
    ) -> Iterator[Result | UnreadablePictureError]:
        frames = chain.from_iterable(
            read_frames(picture) if picture.is_video else [picture] for picture in pictures
        )
        batch: list[tuple[Picture, np.ndarray | UnreadablePictureError]] = []
        for picture in frames:
            if picture.name not in done:
                batch.append((picture, read(picture)))
            if len(batch) == batch_size:
                yield from self._predict(batch, score, labels, largest)
                batch = []
        yield from self._predict(batch, score, labels, largest)

    def _predict(
        self,
        batch: list[tuple[Picture, np.ndarray | UnreadablePictureError]],
        score: float,
        labels: list[int] | None,
        largest: int | None,
    ) -> Iterator[Result | UnreadablePictureError]:
        """Pictures of different sizes go through the model one size after the other."""
        inputs = {}
        for i, (picture, image) in enumerate(batch):
            if isinstance(image, np.ndarray):
                try:
                    inputs[i] = self._input(picture, image, largest)
                except UnreadablePictureError as error:
                    batch[i] = picture, error
        answers: dict[int, dict[str, Any]] = {}

        def size(i: int) -> tuple[int, ...]:
            return inputs[i].values.shape

        for _, same in groupby(sorted(inputs, key=size), key=size):
            numbers = list(same)
            found = self._answer([inputs[i] for i in numbers], score, labels)
            answers.update(zip(numbers, found, strict=True))
        for i, (picture, image) in enumerate(batch):
            if isinstance(image, UnreadablePictureError):
                yield image
            else:
                yield self._result(picture, image, answers[i])

    def _input(self, picture: Picture, image: np.ndarray, largest: int | None) -> Input:
        with named_if_too_narrow(picture, image.shape):
            found = to_input(image, self.about)
            if largest is not None and max(found.shape) > largest:
                steps = resized_to(self.about['pipeline'], largest)
                found = to_input(image, {**self.about, 'pipeline': steps})
        wanted, slide = self.about['size'], self.about.get('slide')
        size = list(found.shape)
        if slide:  # of the windows
            size = [min(*p) for p in zip(found.values.shape[1:], slide['crop_size'], strict=True)]
        if wanted and size != wanted:
            what = 'the windows of the picture are' if slide else 'the picture is'
            raise UnreadablePictureError(
                f'{picture.path or picture.name}: {what} {size} (height, width) after the '
                f'pipeline, the model was exported for {wanted}. Resize the picture, or export the '
                f'model again with --size {size[0]} {size[1]}'
            )
        if not slide:
            self._size_warning.look_at(*found.shape, self.about.get('token_side', 16))
        return found

    def _answer(
        self, inputs: list[Input], score: float, labels: list[int] | None
    ) -> Iterator[dict[str, Any]]:
        """Yield what the results of pictures of equal size say, beside what all results say."""
        if self.task == 'classification':
            (outputs,) = self.networks[''].run([stack(inputs, self.about)])
            rule = self.about.get('several_labels')
            for scores in outputs:
                yield {'scores': scores, 'chosen': choose(scores, rule) if rule else None}
        elif self.task == 'segmentation':
            maps = segment(self.networks[''], self.about, inputs)
            yield from ({'labels': label_map} for label_map in maps)
        else:
            found = detect(self.networks, self.about, inputs, score=score, labels=labels)
            for objects, masks in found:
                yield {
                    'boxes': objects.boxes,
                    'scores': objects.scores,
                    'labels': objects.labels,
                    'masks': masks,
                }

    def _result(self, picture: Picture, image: np.ndarray, answer: dict[str, Any]) -> Result:
        height, width = image.shape[:2]
        return RESULTS[self.task](
            name=picture.name,
            height=height,
            width=width,
            classes=self.classes,
            palette=self.palette,
            _pixels=image,
            _sample=None,
            **answer,
        )


RESULTS: dict[str, Any] = {
    'classification': Classification,
    'segmentation': Segmentation,
    'detection': Detection,
}


def _metadata(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise InputError(
            f'{path} was not written by tnt export: its metadata has no {KEY!r}, so classes and '
            'pipeline are not known. Write one: tnt export CHECKPOINT --out FILE'
        )
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f'{path} has damaged metadata ({error}). Export it again') from error
    if not isinstance(found, dict):
        raise InputError(f'{path} has damaged metadata ({text[:40]!r}). Export it again')
    return found
