"""From a path on the command line to the config that the Runner gets."""

import traceback
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .find_config import find_config

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def read_config(
    path: str,
    *,
    options: dict[str, Any] | None,
    work_dir: str | None,
    launcher: str,
    needs_model: bool = True,
) -> Config:
    """Read a config and apply what both tools share.

    Args:
        path: A config file, or the name of one of this package.
        options: ``--cfg-options``, merged into the config.
        work_dir: Folder of logs and checkpoints; by default the config's own, else
            ``./work_dirs/<name of the config>``.
        launcher: What started the processes: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        needs_model: Refuse a config without one.

    Raises:
        FileNotFoundError: If there is no such file; the text has names that are near.
        ValueError: If the file is no config, or has no model, or the options do not fit it.
    """
    path = find_config(path)
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # a config is a program: it may fail in any way
        frame = traceback.extract_tb(error.__traceback__)[-1]
        line = f' ({frame.filename}, line {frame.lineno})' if frame.name == '<module>' else ''
        raise ValueError(
            f'{path} cannot be read as a config: {type(error).__name__}: {error}{line}'
        ) from error
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError) as error:
        raise ValueError(f'--cfg-options do not fit {path}: {error.args[0]}') from error
    if needs_model and 'model' not in cfg:
        raise ValueError(f'{path} is no config of a training or test: it has no "model"')
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    for name in DATALOADERS:
        dataloader = cfg.get(name)
        # Workers that do not exist cannot persist: torch refuses the pair.
        if isinstance(dataloader, dict) and dataloader.get('num_workers') == 0:
            dataloader['persistent_workers'] = False
    return cfg


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the total batch size (``--auto-scale-lr``).

    Raises:
        ValueError: If the config does not say for which batch size its learning rate was chosen.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError(
            '--auto-scale-lr needs the batch size that the learning rate was chosen for: add '
            'auto_scale_lr = dict(enable=False, base_batch_size=16) to the config'
        )
    cfg.auto_scale_lr.enable = True
