"""What is looked at before a run starts, so that a mistake costs seconds instead of hours."""

import itertools

from mmengine.config import Config

from ..data_checks.datasets import build_leaf_datasets, check_files, check_num_classes
from .checkpoint_file import check_checkpoint
from .pretrained import check_backbones, check_pretrained, notes_on_frozen_parts


def check_training(cfg: Config) -> list[str]:
    """Check data, backbone and weights of a training run.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file or the config is not what training needs.
    """
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from, resume=cfg.get('resume', False))
    notes = _check_data(cfg, ('train', 'val'))
    check_pretrained(cfg)
    check_backbones(cfg)
    return notes + notes_on_frozen_parts(cfg)


def check_testing(cfg: Config) -> list[str]:
    """Check data and checkpoint of a test run; returns and raises like :func:`check_training`."""
    check_checkpoint(cfg.load_from)
    notes = _check_data(cfg, ('test',))
    check_backbones(cfg)
    return notes


def _check_data(cfg: Config, phases: tuple[str, ...]) -> list[str]:
    datasets = build_leaf_datasets(cfg, phases)
    check_files(cfg, datasets)
    notes = check_num_classes(cfg, datasets)
    if cfg.get('default_scope') == 'mmpretrain':
        from ..data_checks.class_folders import check_class_folders

        for dataset in itertools.chain.from_iterable(datasets.values()):
            check_class_folders(dataset)
    if cfg.get('default_scope') == 'mmdet':
        from ..data_checks.coco import check_coco, is_plain_coco
        from ..data_checks.coco_file import forget_coco_files

        for leaf in itertools.chain.from_iterable(datasets.values()):
            if is_plain_coco(leaf):
                notes += check_coco(leaf)
        forget_coco_files()
    return list(dict.fromkeys(notes))  # train and val say the same of the heads
