"""A trained model and the way of a picture through it: the way of ``tnt test``."""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmengine.config import Config
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, DefaultScope
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..checkpoints import resolve_checkpoint
from ..checkpoints.read import read_meta, read_tensors
from ..datasets.load_image import LoadImageOrSkip
from ..run.config import read_config
from ..run.embedded_config import UntrustedConfigError, test_dataset, trusted_config
from ..run.operators import replace_missing_operators
from .pictures import Picture, UnreadablePictureError, find_pictures, read_frames
from .results import Classification, Detection, Result, Segmentation

SCORE = 0.3  # MMDetection's threshold for drawing
# A small detector that comes with the package. It knows handwritten digits.
BUILT_IN = {'tnt://digits': Path(__file__).with_name('digits.pth')}
FILES = 1024  # that loader processes are started for
# Transforms of a test pipeline that read the truth, which a prediction does not have.
TRUTH = ('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadProposals')


def load_model(
    checkpoint: str | Path,
    *,
    config: str | Path | None = None,
    device: str | torch.device | None = None,
    trust: Collection[str] = (),
) -> 'TrainedModel':
    """Return the model of a checkpoint, ready to predict.

    Args:
        checkpoint: A file that MMDetection, MMSegmentation, MMPretrain or ``tnt train`` wrote, its
            address, or ``'tnt://digits'``, a small detector of digits that is in the package.
        config: A config file that replaces the one in the checkpoint. It is run as Python.
        device: Such as ``'cuda:1'`` or ``'cpu'``; by default a GPU if there is one.
        trust: Types and modules that the checkpoint's config may name although they are of no
            library that is known.

    Raises:
        FileNotFoundError: If there is no such file.
        UntrustedConfigError: If the checkpoint's config names what it must not.
        ValueError: If the file is no checkpoint, has no config, or does not fit its config.
    """
    replace_missing_operators()
    path = str(BUILT_IN.get(str(checkpoint)) or resolve_checkpoint(checkpoint))
    tensors = read_tensors(path)
    meta = read_meta(path)
    cfg = _read_cfg(path, meta, config, trust)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(copy.deepcopy(cfg.model))
        _load(model, tensors, path)
        classes, palette = _classes(cfg, meta, path)
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return TrainedModel(model.to(device).eval(), cfg, classes, palette)


def _read_cfg(
    path: str, meta: dict[str, Any], config: str | Path | None, trust: Collection[str]
) -> Config:
    if config is not None:
        cfg = read_config(str(config), options=None, work_dir=None, launcher='none')
        if cfg.get('data_preprocessor'):
            cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    elif isinstance(meta.get('cfg'), str):
        try:
            cfg = trusted_config(meta['cfg'], trust=trust)
        except UntrustedConfigError as error:
            raise UntrustedConfigError(f'{path}: {error}') from error
    else:
        raise ValueError(
            f'{path} has weights but no config, so its model is not known. Pass the config of the '
            'run: --config FILE'
        )
    if not test_dataset(cfg).get('pipeline'):
        raise ValueError(
            f'the config of {path} has no test pipeline (test_dataloader.dataset.pipeline), which '
            'says how pictures are read. Pass one that has: --config FILE'
        )
    return cfg


def _load(model: nn.Module, tensors: dict[str, torch.Tensor], path: str) -> None:
    own = model.state_dict()
    wrong = [
        f'{key} is {tuple(tensors[key].shape)}, the model has {tuple(own[key].shape)}'
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    missing = [key for key, _ in model.named_parameters() if key not in tensors]
    surplus = [key for key in tensors if key not in own]
    if wrong or missing or surplus:
        found = [f'wrong shape: {wrong[:3]}'] if wrong else []
        found += [f'{len(missing)} missing: {missing[:3]}'] if missing else []
        found += [f'{len(surplus)} unknown: {surplus[:3]}'] if surplus else []
        raise ValueError(
            f'the weights of {path} do not fit the model of its config ({"; ".join(found)}). Pass '
            'the config that it was trained with: --config FILE'
        )
    model.load_state_dict(tensors, strict=False)


def _classes(
    cfg: Config, meta: dict[str, Any], path: str
) -> tuple[tuple[str, ...], list[tuple[int, int, int]]]:
    """Return names and colours of the classes, from the first place that has them."""
    dataset = test_dataset(cfg)
    kind = DATASETS.get(dataset['type']) if dataset.get('type') else None
    places = [meta.get('dataset_meta'), dataset.get('metainfo'), getattr(kind, 'METAINFO', {})]
    lower = [{str(key).lower(): value for key, value in (p or {}).items()} for p in places]
    known = next((place for place in lower if place.get('classes')), None)
    if known is None:
        raise ValueError(
            f'{path} does not say what its classes are called. Pass a config with metainfo=dict('
            'classes=(...)) in its test data set: --config FILE'
        )
    classes = tuple(map(str, known['classes']))
    palette = known.get('palette')
    if not isinstance(palette, list | tuple) or len(palette) < len(classes):
        palette = _colours(len(classes))
    return classes, [(int(r), int(g), int(b)) for r, g, b in palette]


def _colours(number: int) -> list[tuple[int, int, int]]:
    """Return colours that are told apart, the same ones each time; VOC's scheme."""
    colours = []
    for label in range(1, number + 1):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= ((label >> (3 * bit + channel)) & 1) << (7 - bit)
        colours.append((channels[0], channels[1], channels[2]))
    return colours


class Preparation:
    """The config's test pipeline for pictures without annotations.

    Args:
        pipeline: That of the config.
    """

    def __init__(self, pipeline: list[dict[str, Any]]) -> None:
        first, *others = pipeline
        name = _short(first['type'])
        if name != 'LoadImageFromFile' and name != 'LoadImageOrSkip':
            raise ValueError(
                f'the test pipeline begins with {first["type"]}; LoadImageFromFile is known. Pass '
                'a config whose test pipeline begins with it: --config FILE'
            )
        # Like LoadImageFromFile, but a JPEG that was cut off is an error, not half grey.
        self.reader = LoadImageOrSkip(**{k: v for k, v in first.items() if k != 'type'})
        kept = [part for part in others if _short(part['type']) not in TRUTH]
        transforms: list[BaseTransform] = [TRANSFORMS.build(part) for part in kept]
        self.transform = Compose(transforms)

    def __call__(self, picture: Picture) -> dict[str, Any]:
        """Return what the model's ``test_step`` takes for one picture.

        Raises:
            UnreadablePictureError: If it is damaged.
        """
        if picture.pixels is not None:
            image = picture.pixels.astype(np.float32) if self.reader.to_float32 else picture.pixels
        else:
            try:
                image = self.reader.read(picture.path)
            except (OSError, ValueError) as error:
                raise UnreadablePictureError(f'{picture.path}: {error}') from error
        shape = image.shape[:2]
        results = {'img_path': picture.path, 'img_id': 0, 'img': image}
        return self.transform({**results, 'img_shape': shape, 'ori_shape': shape})


def _short(kind: str) -> str:
    return kind.rpartition('.')[2]


class _Prepared(Dataset):
    """Pictures made ready for the model; instead of a damaged one, the reason as a text."""

    def __init__(self, pictures: list[Picture], prepare: Preparation) -> None:
        self.pictures = pictures
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[Picture, dict[str, Any] | str]:
        picture = self.pictures[number]
        try:
            return picture, self.prepare(picture)
        except UnreadablePictureError as error:
            return picture, str(error)


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
        self.task = TASKS[cfg.default_scope]
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            self.prepare = Preparation(test_dataset(cfg)['pipeline'])

    def __repr__(self) -> str:
        return f'{type(self).__name__}({type(self.model).__name__}, {len(self.classes)} classes)'

    def predict(
        self,
        source: Any,
        *,
        score: float = SCORE,
        classes: Collection[str] | None = None,
        batch_size: int = 1,
    ) -> Result | list[Result]:
        """Predict on one picture, or on several.

        Args:
            source: A path or URL of a picture, an array ``(H, W, 3)`` in BGR (as OpenCV reads), or
                a PIL image. A list of these, a folder, a pattern or a video gives a list.
            score: Objects of a lower score are left out.
            classes: Objects of other classes are left out.
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
        for result in self.stream(pictures, score=score, classes=classes, batch_size=batch_size):
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
        batch_size: int = 1,
        workers: int = 0,
        done: Collection[str] = (),
    ) -> Iterator[Result | UnreadablePictureError]:
        """Return an iterator with a result for each picture, in the order of the pictures.

        Args:
            pictures: From :func:`find_pictures`. A video becomes its frames, read as needed.
            score: Objects of a lower score are left out.
            classes: Objects of other classes are left out.
            batch_size: Pictures that go through the model together.
            workers: Processes that read pictures while the model works; frames of videos are
                read by this process.
            done: Names of pictures and frames to leave out.

        Raises:
            ValueError: If the model has no such class.
        """
        labels = self._labels(classes)  # a wrong name is told now, not with the first picture
        return self._stream(pictures, score, labels, batch_size, workers, done)

    def _stream(
        self,
        pictures: Iterable[Picture],
        score: float,
        labels: list[int] | None,
        batch_size: int,
        workers: int,
        done: Collection[str],
    ) -> Iterator[Result | UnreadablePictureError]:
        frames = chain.from_iterable(
            read_frames(picture) if picture.is_video else [picture] for picture in pictures
        )
        wanted = (picture for picture in frames if picture.name not in done)
        for is_file, group in groupby(wanted, key=lambda picture: picture.pixels is None):
            # Loader processes are started once for many files; few frames are in memory.
            while chunk := list(islice(group, FILES if is_file else batch_size)):
                loader = DataLoader(
                    _Prepared(chunk, self.prepare),
                    batch_size=batch_size,
                    num_workers=workers if is_file else 0,
                    collate_fn=list,
                )
                for batch in loader:
                    yield from self._predict_batch(batch, score, labels)

    def _labels(self, classes: Collection[str] | None) -> list[int] | None:
        if classes is None:
            return None
        if self.task != 'detection':
            raise ValueError(
                f'classes={list(classes)}: only objects can be left out, not {self.task}'
            )
        if unknown := [name for name in classes if name not in self.classes]:
            raise ValueError(
                f'classes={unknown} are not known to the model. It knows {", ".join(self.classes)}'
            )
        return [self.classes.index(name) for name in classes]

    def _predict_batch(
        self, batch: list[tuple[Picture, Any]], score: float, kept: list[int] | None
    ) -> Iterator[Result | UnreadablePictureError]:
        """Pictures of different sizes go through the model one size after the other."""
        answers: dict[int, Any] = {}
        readable = [i for i, (_, data) in enumerate(batch) if not isinstance(data, str)]
        collate: Callable = default_collate if self.task == 'classification' else pseudo_collate

        def size(i: int) -> tuple[int, ...]:
            return tuple(batch[i][1]['inputs'].shape)

        for _, same in groupby(sorted(readable, key=size), key=size):
            numbers = list(same)
            with torch.no_grad(), DefaultScope.overwrite_default_scope(self.cfg.default_scope):
                samples = self.model.test_step(collate([batch[i][1] for i in numbers]))
            answers.update(zip(numbers, samples, strict=True))
        for i, (picture, data) in enumerate(batch):
            if i in answers:
                yield self._result(picture, answers[i], score, kept)
            else:
                yield UnreadablePictureError(data)

    def _result(
        self, picture: Picture, sample: Any, score: float, kept: list[int] | None
    ) -> Result:
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
            return Classification(**shared, _sample=sample, scores=scores)
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
        return Detection(
            **shared,
            _sample=sample,
            boxes=objects.bboxes.float().numpy(),
            scores=objects.scores.float().numpy(),
            labels=objects.labels.numpy(),
            masks=masks,
        )


TASKS = {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpretrain': 'classification'}


def _pictures_of(source: Any) -> Iterator[Picture]:
    """Yield the pictures that a caller of Python means."""
    if isinstance(source, str | Path):
        yield from find_pictures([source])
    elif isinstance(source, Picture):
        yield source
    else:
        pixels = (
            np.asarray(source.convert('RGB'))[..., ::-1] if hasattr(source, 'convert') else source
        )
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 3 or pixels.shape[2] != 3:
            got = getattr(pixels, 'shape', type(pixels).__name__)
            raise ValueError(
                f'source is {got}: pass a path, a PIL image, or an array (H, W, 3) in BGR'
            )
        yield Picture('array', '', pixels=np.ascontiguousarray(pixels))
