"""From a path on the command line to the config that the Runner gets."""

import ast
import importlib
import traceback
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config

from ..errors import InputError
from .find_config import find_config

# files whose lines say nothing about a mistake in a config
LOADERS = (
    *(str(Path(str(package.__file__)).parent) for package in (mmengine, importlib)),
    ast.__file__,
    __file__,
)
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
    cfg = read_file(path)
    if needs_model and not isinstance(cfg.get('model'), dict):
        raise InputError(f'{path} is no config of a training or test: it has no "model"')
    complete_config(cfg, path, options=options, work_dir=work_dir, launcher=launcher)
    return cfg


def complete_config(
    cfg: Config,
    path: str,
    *,
    options: dict[str, Any] | None,
    work_dir: str | None,
    launcher: str,
) -> None:
    """Apply to a config what all tools share, in place.

    Args:
        cfg: The config.
        path: Where it comes from: a config file, or a checkpoint.
        options: See :func:`read_config`.
        work_dir: See :func:`read_config`.
        launcher: See :func:`read_config`.

    Raises:
        ValueError: If the options do not fit the config.
    """
    if options:
        from .overrides import require_known_keys  # late: it needs mmengine's Runner

        require_known_keys(cfg, options)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError) as error:
        raise InputError(f'--cfg-options do not fit {path}: {error.args[0]}') from error
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    cfg.work_dir = str(cfg.work_dir)  # --cfg-options makes a number of 3
    for name in DATALOADERS:
        dataloader = cfg.get(name)
        # Workers that do not exist cannot persist: torch refuses the pair.
        if isinstance(dataloader, dict) and dataloader.get('num_workers') == 0:
            dataloader['persistent_workers'] = False


def read_file(path: str | Path) -> Config:
    """Return the config of a file.

    Raises:
        ValueError: If the file fails. A config is a program, so it may fail in any way.
    """
    if str(path).endswith('.pth'):
        raise InputError(f'{path} is a checkpoint. Pass the config of its run, a .py file')
    try:
        return Config.fromfile(path)
    except Exception as error:
        raise InputError(f'{path} cannot be read as a config: {_reason(error)}') from error


def _reason(error: BaseException) -> str:
    """Return the first error of a chain, and the line of the config or module that it is in."""
    while isinstance(error, ImportError) and (origin := error.__cause__ or error.__context__):
        error = origin  # mmengine says which module of custom_imports failed, but not why
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(('<', *LOADERS))
    ]
    line = f' ({frames[-1].filename}, line {frames[-1].lineno})' if frames else ''
    advice = ''
    if isinstance(error, ModuleNotFoundError):
        advice = '. If it is a file of yours, add its folder to PYTHONPATH'
    return f'{type(error).__name__}: {error}{line}{advice}'


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the total batch size (``--auto-scale-lr``).

    Raises:
        ValueError: If the config does not say for which batch size its learning rate was chosen.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise InputError(
            '--auto-scale-lr needs the batch size that the learning rate was chosen for: add '
            'auto_scale_lr = dict(enable=False, base_batch_size=16) to the config'
        )
    cfg.auto_scale_lr.enable = True
