"""The largest image that a training pipeline makes."""

from typing import Any

from mmengine.config import Config

from ..type_names import type_name


def training_size(cfg: Config) -> tuple[int, int] | None:
    """Return the largest height and width of training images, or ``None`` if no transform says it.

    Width and height may change places, since images are of both kinds. Images are padded to whole
    32 pixels, as detectors do.
    """
    return largest_size(cfg.train_dataloader.dataset)


def largest_size(dataset: dict[str, Any]) -> tuple[int, int] | None:
    """Return the largest height and width of a data set's images, as :func:`training_size`."""
    while 'dataset' in dataset and not dataset.get('pipeline'):
        dataset = dataset['dataset']
    found = None
    for transform in dataset.get('pipeline') or []:
        found = _size(transform) or found
    if found is None:
        return None
    low, high = sorted(-(-side // 32) * 32 for side in found)
    return low, high


def _size(transform: dict[str, Any]) -> tuple[int, int] | None:
    """Return the largest size that one transform makes; the last of a pipeline counts."""
    if nested := transform.get('transforms'):  # RandomChoice and its like: lists of transforms
        parts = [part for item in nested for part in (item if isinstance(item, list) else [item])]
        return _largest([size for part in parts if (size := _size(part))])
    kind = type_name(transform)
    keys = ('crop_size', 'size') if 'Crop' in kind else ()
    if 'Resize' in kind or 'Crop' in kind:
        keys = (*keys, 'scale', 'scales')
    sizes = []
    for key in keys:
        value = transform.get(key)
        for item in value if key == 'scales' and isinstance(value, list) else [value]:
            if isinstance(item, int):
                sizes.append((item, item))
            elif isinstance(item, list | tuple) and all(isinstance(side, int) for side in item):
                sizes.append(tuple(item[:2]))
        if sizes:
            return _largest(sizes)
    return None


def _largest(sizes: list[Any]) -> tuple[int, int] | None:
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
