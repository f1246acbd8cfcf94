"""What is looked at before a run starts, so that a mistake costs seconds instead of hours."""

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from .checkpoint_file import check_checkpoint
from .datasets import build_leaf_datasets, check_files, check_num_classes
from .distributed import is_first_on_node
from .pretrained import check_pretrained


def check_training(cfg: Config) -> list[str]:
    """Check data and weights of a training run.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file or the config is not what training needs.
    """
    notes = _check_data(cfg, ('train', 'val'))
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from, resume=cfg.get('resume', False))
    check_pretrained(cfg)
    return notes


def check_testing(cfg: Config) -> list[str]:
    """Check data and checkpoint of a test run; returns and raises like :func:`check_training`."""
    notes = _check_data(cfg, ('test',))
    check_checkpoint(cfg.load_from)
    return notes


def _check_data(cfg: Config, phases: tuple[str, ...]) -> list[str]:
    datasets = build_leaf_datasets(cfg, phases)
    check_files(cfg, datasets)
    notes = check_num_classes(cfg, datasets)
    if cfg.get('default_scope') == 'mmpretrain':
        from .image_folders import check_class_folders

        for dataset in itertools.chain.from_iterable(datasets.values()):
            check_class_folders(dataset)
    if cfg.get('default_scope') == 'mmdet':
        from mmdet.datasets import CocoDataset, CocoPanopticDataset, LVISV05Dataset

        from .coco_annotations import check_coco

        other_formats = (CocoPanopticDataset, LVISV05Dataset)
        for leaf in itertools.chain.from_iterable(datasets.values()):
            if isinstance(leaf, CocoDataset) and not isinstance(leaf, other_formats):
                notes += check_coco(leaf)
    return list(dict.fromkeys(notes))  # train and val say the same of the heads


@contextmanager
def errors_of_the_user(tool: str, *, launcher: str) -> Iterator[None]:
    """Print a mistake of the user as one message, without a traceback, and exit with status 2.

    Args:
        tool: Name at the head of the message.
        launcher: What started the processes; only the first on each machine prints.
    """
    try:
        yield
    except (FileNotFoundError, ValueError, ImportError) as error:
        if is_first_on_node(launcher):
            sys.stderr.write(f'{tool}: error: {error}\n')
        else:
            time.sleep(60)  # the first one's exit ends the run: it must have the time to print
        sys.exit(2)
