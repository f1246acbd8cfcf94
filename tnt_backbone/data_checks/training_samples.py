"""What training sees: pictures and truth behind the pipeline of a config."""

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner.utils import set_random_seed

from ..errors import InputError

WORD, SENTENCE = 4, 16  # pixels of TNT's inner and outer patches
EDGES = (WORD, SENTENCE, 32, 96, 256)


@dataclass(kw_only=True)
class Sample:
    """One picture as training sees it.

    Attributes:
        path: Of the file, or ``''``. Behind Mosaic or MixUp there are several; this is the first.
        pixels: ``(H, W, 3)``, RGB, uint8.
        boxes: ``(N, 4)``: x1, y1, x2, y2 in pixels of ``pixels``.
        labels: ``(N,)`` of the boxes, or the labels of the whole picture.
        masks: ``(N, H, W)``, bool, or ``None``.
        label_map: ``(H, W)``, or ``None``.
    """

    path: str
    pixels: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None
    label_map: np.ndarray | None = None

    @property
    def sides(self) -> np.ndarray:
        """Square roots of the areas of the boxes, in pixels."""
        return np.sqrt(np.prod(self.boxes[:, 2:] - self.boxes[:, :2], 1).clip(0))


def build_training_data(cfg: Config) -> Any:
    """Return the data set that training reads, with its wrappers.

    Raises:
        ValueError: If the config has none.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if not dataset:
        raise InputError('the config has no train_dataloader.dataset, so nothing is trained on')
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    built = DATASETS.build(copy.deepcopy(dataset))
    if hasattr(built, 'full_init'):
        built.full_init()
    if not len(built):
        raise InputError('the data set of train_dataloader has no pictures')
    return built


def draw_samples(dataset: Any, count: int, *, seed: int = 0) -> Iterator[Sample]:
    """Yield pictures behind the pipeline, at random, none twice.

    Args:
        dataset: Of :func:`build_training_data`.
        count: How many; fewer if the data set is smaller.
        seed: The same seed gives the same pictures.

    Raises:
        ValueError: If the pipeline ends in something that is no picture.
    """
    set_random_seed(seed)
    order = np.random.default_rng(seed).permutation(len(dataset))[:count]
    for index in order.tolist():
        yield _sample(dataset[index])


def _sample(found: dict[str, Any]) -> Sample:
    inputs, truth = found.get('inputs'), found.get('data_samples')
    if isinstance(inputs, list | tuple) and inputs:  # several views of one picture
        inputs = inputs[0]
    if getattr(inputs, 'ndim', 0) != 3:
        raise InputError(
            f'the training pipeline returns inputs of type {type(inputs).__name__}, not one '
            'picture (channels, height, width). Such data cannot be shown'
        )
    pixels = np.asarray(inputs).transpose(1, 2, 0)
    boxes: np.ndarray = np.zeros((0, 4))
    labels: np.ndarray = np.zeros(0, int)
    masks = label_map = None
    if truth is not None and 'gt_instances' in truth:
        instances = truth.gt_instances
        given = getattr(instances.bboxes, 'tensor', instances.bboxes)
        boxes = np.asarray(given, float)
        boxes = boxes.reshape(len(boxes), -1) if boxes.size else np.zeros((0, 4))  # background
        if boxes.shape[1] != 4:
            raise InputError(f'boxes of {boxes.shape[1]} numbers are not known; x1, y1, x2, y2 are')
        labels = np.asarray(instances.labels, int)
        if 'masks' in instances:
            masks = np.asarray(instances.masks.to_ndarray(), bool)
    elif truth is not None and 'gt_sem_seg' in truth:
        label_map = np.asarray(truth.gt_sem_seg.data, int).squeeze(0)
    elif truth is not None and 'gt_label' in truth:
        labels = np.asarray(truth.gt_label, int).reshape(-1)
    path = str(truth.get('img_path') or '') if truth is not None else ''
    return Sample(
        path=path, pixels=_rgb(pixels), boxes=boxes, labels=labels, masks=masks, label_map=label_map
    )


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """Return a picture of the pipeline, BGR as OpenCV reads it, for people."""
    if pixels.dtype != np.uint8:
        values = np.nan_to_num(pixels.astype(float))
        if values.min(initial=0) < 0 or values.max(initial=0) > 255:  # normalised, or of more bits
            low, high = values.min(), values.max()
            values = (values - low) / max(high - low, 1e-9) * 255
        pixels = values.round().astype(np.uint8)
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
    return np.ascontiguousarray(pixels[..., ::-1])


def count_sizes(sides: np.ndarray, edges: Sequence[float] = EDGES) -> list[tuple[str, int]]:
    """Return how many objects there are of each size: a text for people, and the number."""
    limits = [0.0, *edges, math.inf]
    rows = []
    for low, high in itertools.pairwise(limits):
        text = f'over {low:g}' if high == math.inf else f'{low:g} to {high:g}'
        meaning = {WORD: ' (smaller than a word)', SENTENCE: ' (smaller than a sentence)'}
        number = int(((sides >= low) & (sides < high)).sum())
        rows.append((text + meaning.get(int(high) if high < math.inf else 0, ''), number))
    return rows


def count_classes(dataset: Any, num_classes: int) -> np.ndarray | None:
    """Return how often training sees each class in an epoch, ``(C,)``: boxes, or pictures.

    It is read from the annotations, without opening a picture. Repeated data count repeatedly.

    Returns:
        ``None`` if the annotations do not say it: label maps must be opened.
    """
    counts, has_any = np.zeros(num_classes, int), False
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if 'instances' in info:
            labels = [one['bbox_label'] for one in info['instances'] if not one.get('ignore_flag')]
        elif 'gt_label' in info:
            labels = np.atleast_1d(info['gt_label']).tolist()
        else:
            continue
        has_any = True
        for label in labels:
            if 0 <= label < num_classes:
                counts[label] += 1
    return counts if has_any else None
