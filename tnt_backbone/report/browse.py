"""A page of what training sees: augmented pictures with their truth, classes, sizes."""

from typing import Any

import numpy as np
from mmengine.config import Config

from ..data_checks.training_samples import (
    Sample,
    build_training_data,
    count_classes,
    count_sizes,
    draw_samples,
)
from ..predict.draw import draw_labels, draw_objects
from .examples import LINE, drawable, jpeg, legend, palette
from .page import render
from .record_maps import SIDE
from .results import read_palette


def browse_page(cfg: Config, name: str, *, pictures: int, samples: int, seed: int) -> str:
    """Return the page of a config.

    Args:
        cfg: The config.
        name: What it is called on the page.
        pictures: How many are shown.
        samples: From how many the sizes of objects are counted.
        seed: Of the choice and of the augmentation.

    Raises:
        ValueError: If the config has no training data, or its pipeline returns no pictures.
    """
    dataset = build_training_data(cfg)
    classes = [str(one) for one in dataset.metainfo.get('classes') or ()]
    of_maps = palette(classes, read_palette(dataset.metainfo.get('palette')))
    shown, sides, shapes = [], [], []
    per_class = np.zeros(len(classes), int)
    for number, sample in enumerate(draw_samples(dataset, max(pictures, samples), seed=seed)):
        if number < pictures:
            shown.append(_show(sample, classes, of_maps))
        sides.append(sample.sides)
        shapes.append(sample.pixels.shape[:2])
        if sample.label_map is not None:
            there = sample.label_map[(sample.label_map >= 0) & (sample.label_map < len(classes))]
            per_class += np.bincount(there.ravel(), minlength=len(classes))
    counts, unit = count_classes(dataset, len(classes)), 'per epoch'
    if counts is None:
        counts, unit = per_class, f'pixels in {len(shapes)} pictures'
    joined = np.concatenate(sides)
    heights, widths = zip(*shapes, strict=True)
    return render(
        'browse.html',
        title=f'What training sees: {name}',
        length=len(dataset),
        samples=len(shapes),
        sizes=count_sizes(joined) if len(joined) else [],
        objects=len(joined),
        classes=[(name, int(count)) for name, count in zip(classes, counts, strict=True)],
        most=max(int(counts.max(initial=0)), 1),
        unit=unit,
        heights=(min(heights), max(heights)),
        widths=(min(widths), max(widths)),
        shown=shown,
        colours=legend(classes, of_maps) if any(one['is_map'] for one in shown) else [],
        later=_batch_augments(cfg),
        pipeline=_pipeline(cfg.train_dataloader.dataset),
    )


def _show(sample: Sample, classes: list[str], of_maps: np.ndarray) -> dict[str, Any]:
    pixels, text = sample.pixels, ''
    if sample.label_map is not None:
        is_class = (sample.label_map >= 0) & (sample.label_map < len(classes))
        labels = np.where(is_class, sample.label_map, len(classes))
        pixels = draw_labels(pixels, labels, of_maps)
    elif len(sample.boxes):
        colours = palette(classes)
        pixels = draw_objects(
            pixels,
            drawable(sample.boxes),
            [_name(label, classes) for label in sample.labels],
            [tuple(colours[label % 255].tolist()) for label in sample.labels],
            sample.masks,
            width=LINE if max(pixels.shape[:2]) <= 2 * SIDE else None,
        )
        text = f'{len(sample.boxes)} object' + 's' * (len(sample.boxes) > 1)
    else:
        text = ', '.join(_name(label, classes) for label in sample.labels) or 'no object'
    step = -(-max(pixels.shape[:2]) // (2 * SIDE))
    height, width = sample.pixels.shape[:2]
    return {
        'image': jpeg(np.ascontiguousarray(pixels[::step, ::step])),
        'path': sample.path,
        'text': f'{width}x{height} pixels' + (f', {text}' if text else ''),
        'is_map': sample.label_map is not None,
    }


def _name(label: int, classes: list[str]) -> str:
    return classes[label] if 0 <= label < len(classes) else str(label)


def _batch_augments(cfg: Config) -> list[str]:
    """Return what is done to whole batches afterwards, and is not on the pictures."""
    preprocessor = (cfg.get('model') or {}).get('data_preprocessor') or {}
    found = preprocessor.get('batch_augments') or cfg.get('batch_augments') or []
    found = [found] if isinstance(found, dict) else found
    parts = [part for one in found for part in (one.get('augments') or [one])]
    return [str(part.get('type') if isinstance(part, dict) else part) for part in parts]


def _pipeline(dataset: dict[str, Any]) -> list[str]:
    """Return the transforms, the inner data set's first."""
    inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
    before = _pipeline(inner) if inner else []
    return before + [
        f'{one["type"]!s}({", ".join(f"{k}={v!r}" for k, v in one.items() if k != "type")})'
        for one in dataset.get('pipeline') or ()
    ]
