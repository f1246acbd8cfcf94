"""Classes that few training images show: told, and repeated if ``--balance`` asks for it."""

import contextlib
import copy
import io
import statistics
from collections import Counter
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.dataset import BaseDataset, ClassBalancedDataset
from mmengine.registry import DATASETS, init_default_scope

from ..data_checks.findings import shorten
from ..errors import InputError
from .shared import dicts, leaf_dataset

RARE = 0.5  # share of the images of the median class
# Hooks that replace the pipeline of the outermost data set; that of a wrapper is never used
SWITCHES = ('PipelineSwitchHook',)


def find_rare(images: Mapping[str, int]) -> dict[str, int]:
    """Return the rare classes: those in less than half as many images as the median class.

    Args:
        images: How many training images show each class. Classes without an image do not count.
    """
    shown = {name: number for name, number in images.items() if number}
    limit = RARE * statistics.median(shown.values()) if shown else 0
    return {name: number for name, number in shown.items() if number < limit}


def describe_rare(images: Mapping[str, int], total: int) -> list[str]:
    """Return a note about rare classes, if there are any.

    Args:
        images: How many training images show each class.
        total: How many training images there are.
    """
    rare = find_rare(images)
    if not rare:
        return []
    median = statistics.median(number for number in images.values() if number)
    listed = [f'{name}: {n} ({100 * n / total:.2g} %)' for name, n in rare.items()]
    return [
        f'note: {len(rare)} of {len(images)} classes are rare, in fewer than half as many training '
        f'images as the median class ({median:g} of {total}): {shorten(listed, 8)}'
    ]


def balance_classes(cfg: Config, *, repeat: bool) -> list[str]:
    """Tell the rare classes of the training data, and repeat their images if it is asked for.

    mmengine's ``ClassBalancedDataset`` (the repeat factors of LVIS, arXiv:1908.03195) repeats each
    image of a rare class ``ceil(sqrt(limit / share))`` times: the limit is half the share of the
    median class, so no image without a rare class is repeated.

    Args:
        cfg: A whole config of MMDetection or MMPretrain whose data is the user's, changed in place.
        repeat: Whether images are repeated.

    Returns:
        What was found and changed, one line each.

    Raises:
        ValueError: If the config has a hook that does not work with repeated images.
    """
    leaf = leaf_dataset(cfg, 'train')
    dataset = _build(cfg)
    classes, total = dataset.metainfo['classes'], len(dataset)
    before = _count(dataset)
    images = {name: before[label] for label, name in enumerate(classes)}
    notes, rare = describe_rare(images, total), find_rare(images)
    if not repeat:
        return [*notes, '--balance repeats the images of rare classes'] if rare else []
    if not rare:
        return ['no class is rare, so --balance changes nothing']
    kinds = [str(hook.get('type')).rpartition('.')[2] for hook in dicts(cfg.get('custom_hooks'))]
    if switch := next((kind for kind in kinds if kind in SWITCHES), None):
        raise InputError(
            f'--balance does not work with the {switch} of the config, which replaces the pipeline '
            'of a data set that is not wrapped. Leave out --balance, or start --from another config'
        )
    median = statistics.median(number for number in images.values() if number)
    limit = RARE * median / total
    repeated = ClassBalancedDataset(dataset, oversample_thr=limit)
    after = _count(repeated)
    inner = dict(leaf)
    leaf.clear()
    leaf.update(type='ClassBalancedDataset', oversample_thr=limit, dataset=inner)
    changed = [f'{name} {number} -> {after[classes.index(name)]}' for name, number in rare.items()]
    return [
        *notes,
        f'images of rare classes are repeated (ClassBalancedDataset, oversample_thr={limit:.3g}): '
        f'{shorten(changed, 8)}. An epoch has {len(repeated)} images instead of {total}',
        'the training data set of the config is one "dataset" deeper now, for --cfg-options',
    ]


def _build(cfg: Config) -> BaseDataset:
    """Return the training data set of the library, without its pipeline."""
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    leaf = copy.deepcopy(dict(leaf_dataset(cfg, 'train')))
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells its progress
        return DATASETS.build({**leaf, 'pipeline': [], 'lazy_init': False})


def _count(dataset: BaseDataset | ClassBalancedDataset) -> Counter[int]:
    """Return how many images of an epoch show each class."""
    counted: Counter[int] = Counter()
    for index in range(len(dataset)):
        counted.update(set(dataset.get_cat_ids(index)))
    return counted
