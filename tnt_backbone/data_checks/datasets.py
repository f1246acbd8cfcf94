"""The data sets that a config names, without their wrappers, and checks that their files exist."""

import copy
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, init_default_scope

from ..errors import InputError, MissingFileError
from .findings import shorten

# Parts of a model whose num_classes counts the classes of the data, in the three libraries
HEADS = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head', 'head')

# What a class of data sets reads beside ann_file and data_prefix, of which it says nothing itself
FURTHER_FILES: dict[str, Callable[[Any], list[str]]] = {
    'CIFAR10': lambda dataset: [
        os.path.join(dataset.data_prefix['root'], dataset.base_folder, name)
        for name, _ in [*dataset.train_list, *dataset.test_list]
    ],
    'Flowers102': lambda dataset: [dataset.train_test_split_file],
    'INaturalist': lambda dataset: [dataset.image_folder],
    'XMLDataset': lambda dataset: [
        os.path.join(dataset.sub_data_root, folder)
        for folder in (dataset.ann_subdir, dataset.img_subdir)
    ],
}


def build_leaf_datasets(cfg: Config, phases: Iterable[str]) -> dict[str, list[BaseDataset]]:
    """Build the data sets of a config without reading any data.

    Wrappers (``RepeatDataset``, ``ConcatDataset``, ``ClassBalancedDataset``,
    ``MultiImageMixDataset``, ...) are taken off. What is no mmengine ``BaseDataset`` is left out:
    nothing is known of it.

    Args:
        cfg: A config.
        phases: Any of ``'train'``, ``'val'``, ``'test'``.

    Returns:
        ``{phase: data sets}``; ``ann_file`` and ``data_prefix`` are joined with ``data_root``.
    """
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    return {
        phase: [
            DATASETS.build({**copy.deepcopy(leaf), 'lazy_init': True})
            for _, leaf in _leaves(cfg, phase)
            if _is_base_dataset(leaf)
        ]
        for phase in phases
    }


def _leaves(cfg: Config, phase: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the data sets of a phase without their wrappers, and their paths in the config."""

    def walk(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, list | tuple):
            for i, part in enumerate(node):
                yield from walk(part, f'{path}.{i}')
        elif isinstance(node, dict):
            inner = next((key for key in ('datasets', 'dataset') if node.get(key)), None)
            if inner is None:
                yield path, node
            else:
                yield from walk(node[inner], f'{path}.{inner}')

    loader = cfg.get(f'{phase}_dataloader') or {}
    yield from walk(loader.get('dataset'), f'{phase}_dataloader.dataset')


def _is_base_dataset(leaf: dict[str, Any]) -> bool:
    kind = leaf.get('type')
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(None) as registry:  # of the config's library
            kind = registry.get(kind)
    return isinstance(kind, type) and issubclass(kind, BaseDataset)


def check_files(cfg: Config, datasets: dict[str, list[BaseDataset]]) -> None:
    """Check that annotation files and image folders exist.

    Raises:
        FileNotFoundError: If any is missing. The text shows all that the config expects.
    """
    expected: dict[str, str] = {}  # path: what asks for it
    for phase, leaves in datasets.items():
        for dataset in leaves:
            for path in _local_files(dataset):
                expected.setdefault(path, f'{phase}_dataloader, {type(dataset).__name__}')
        evaluators = cfg.get(f'{phase}_evaluator') or []
        for evaluator in [evaluators] if isinstance(evaluators, dict) else evaluators:
            ann_file = evaluator.get('ann_file')
            if ann_file and not evaluator.get('backend_args') and '://' not in ann_file:
                expected.setdefault(ann_file, f'{phase}_evaluator, {evaluator["type"]}')
    if all(os.path.exists(path) for path in expected):
        return
    width = max(map(len, expected))
    layout = '\n'.join(
        f'  {"found  " if os.path.exists(path) else "MISSING"}  {path:{width}}  ({source})'
        for path, source in expected.items()
    )
    roots = ' '.join(
        f'{path}.data_root=DIR' for phase in datasets for path, _ in _leaves(cfg, phase)
    )
    raise MissingFileError(
        f'data is missing. The config expects, seen from {Path.cwd()}:\n{layout}\n'
        'How each data set must lie and how to link yours: docs/datasets.md. In short:\n'
        '  ln -s /path/to/your/data data\n'
        f'or, for folders with other names: --cfg-options {roots}'
        + (' (and ann_file of the evaluators)' if '_evaluator' in layout else '')
    )


def _local_files(dataset: BaseDataset) -> list[str]:
    """Return annotation file and folders; none for data that is remote or downloads itself."""
    if getattr(dataset, 'backend_args', None) or getattr(dataset, 'download', False):
        return []
    paths = [dataset.ann_file, *dataset.data_prefix.values()]
    for kind in type(dataset).__mro__:
        if kind.__name__ in FURTHER_FILES:
            paths += FURTHER_FILES[kind.__name__](dataset)
    return [path for path in paths if isinstance(path, str) and path and '://' not in path]


def check_num_classes(cfg: Config, datasets: dict[str, list[BaseDataset]]) -> list[str]:
    """Compare the heads of the model with the classes of the data sets.

    Returns:
        Notes for the log: heads with more classes than the data.

    Raises:
        ValueError: If a head has too few classes; its loss would fail or count wrongly.
    """
    notes = []
    for phase, leaves in datasets.items():
        for dataset in leaves:
            everything = dataset.metainfo.get('classes')
            things = dataset.metainfo.get('thing_classes', everything)  # of panoptic data
            for key, number in class_counts(cfg.model, 'model') if everything else ():
                has_things = not {'bbox_head', 'mask_head'}.isdisjoint(key.split('.'))
                classes = things if has_things else everything
                text = f'{key} is {number}, but the data has {len(classes)} classes'
                if number < len(classes):
                    raise InputError(
                        f'{text} ({shorten(classes)}). Set --cfg-options {key}={len(classes)}, or '
                        f'name the classes you want in {phase}_dataloader.dataset.metainfo.classes'
                    )
                if number > len(classes):
                    notes.append(f'{text}; the surplus outputs learn nothing')
    return notes


def class_counts(node: Any, path: str) -> Iterator[tuple[str, int]]:
    """Yield the numbers of classes of the heads in a config, with their dotted paths."""
    if isinstance(node, list | tuple):
        for i, part in enumerate(node):
            yield from class_counts(part, f'{path}.{i}')
    elif isinstance(node, dict):
        name = path.rstrip('.0123456789').rpartition('.')[2]  # of a list of heads: the list's
        if name in HEADS and isinstance(node.get('num_classes'), int):
            yield f'{path}.num_classes', node['num_classes']
        for key, part in node.items():
            yield from class_counts(part, f'{path}.{key}')
