"""Configs whose data set holds arrays, not files, and the same for files.

MMPretrain's CIFAR gives pictures in RGB, and its pipelines load nothing. Files are read in BGR, so
a model that sees both needs another order of channels.
"""

from collections.abc import Iterable
from typing import Any

from ..type_names import type_name

RGB_ARRAYS = ('CIFAR10', 'CIFAR100')
GREY_ARRAYS = ('MNIST', 'FashionMNIST')
LOADERS = ('LoadImageFromFile', 'LoadImageOrSkip')


def loads_files(dataset: dict[str, Any]) -> bool:
    """Return whether the pipeline of a data set reads files."""
    return any(type_name(part) in LOADERS for part in dataset.get('pipeline') or [])


def is_grey_arrays(dataset: dict[str, Any]) -> bool:
    """Return whether a data set holds arrays without colour."""
    return type_name(dataset) in GREY_ARRAYS and not loads_files(dataset)


def let_read_files(cfg: Any, datasets: Iterable[dict[str, Any]]) -> bool:
    """Let a config whose data sets hold arrays in RGB read files, in place.

    Args:
        cfg: Of MMPretrain.
        datasets: Of its phases, without wrappers. Others than :data:`RGB_ARRAYS` are left alone.

    Returns:
        Whether something was changed.
    """
    arrays = [
        dataset
        for dataset in datasets
        if type_name(dataset) in RGB_ARRAYS and not loads_files(dataset)
    ]
    for dataset in arrays:
        dataset['pipeline'] = [{'type': 'LoadImageFromFile'}, *dataset['pipeline']]
    if arrays:
        place = cfg.model if 'data_preprocessor' in cfg.model else cfg
        preprocessor = place.setdefault('data_preprocessor', {'type': 'ClsDataPreprocessor'})
        preprocessor['to_rgb'] = not preprocessor.get('to_rgb', False)
    return bool(arrays)
