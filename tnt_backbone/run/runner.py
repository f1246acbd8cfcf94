"""From a config to a Runner that works on this machine."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import LoggerHook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..engine.amp import suit_amp_to_device
from ..engine.step_in_parts import accumulated
from .coco_eval import use_faster_coco_eval
from .formatted_once import FormattedOnce
from .freed_memory import keep_freed_memory
from .processes import init_cpu_processes


def suit_to_machine(cfg: Config) -> None:
    """Change what would not work without a GPU, or slowly.

    Raises:
        ValueError: If that is not possible.
    """
    suit_amp_to_device(cfg)
    init_cpu_processes(cfg)
    keep_freed_memory()


def build_runner(cfg: Config, notes: list[str]) -> Runner:
    """Build the Runner that the config names.

    Args:
        cfg: The config.
        notes: What was found before the start; goes to the log.
    """
    with _details_in_the_log_file():
        given = FormattedOnce(cfg)
        runner = RUNNERS.build(given) if 'runner_type' in cfg else Runner.from_cfg(given)
    count_accumulated_images(runner, cfg)
    for hook in runner.hooks:
        # mmengine writes the figures of a test in every process, all into one file
        if isinstance(hook, LoggerHook):
            hook.after_test_epoch = master_only(hook.after_test_epoch)
    for note in notes:
        runner.logger.warning(note)
    if use_faster_coco_eval(cfg):
        runner.logger.info('CocoMetric uses faster-coco-eval. Its numbers are those of pycocotools')
    return runner


def count_accumulated_images(runner: Runner, cfg: Config) -> None:
    """Let ``--auto-scale-lr`` scale with the images of a step, not with those of an iteration.

    mmengine leaves ``optim_wrapper.accumulative_counts`` out. So one image in two iterations would
    get half of the learning rate of two images in one, although the steps are the same.
    """
    scale = cfg.get('auto_scale_lr') or {}
    counts = accumulated(cfg)
    if counts > 1 and 'base_batch_size' in scale:
        # in the Runner only: the config goes into the log and into checkpoints
        runner.auto_scale_lr = {**scale, 'base_batch_size': scale['base_batch_size'] / counts}


@contextmanager
def _details_in_the_log_file() -> Iterator[None]:
    """Keep what mmengine logs while it builds a Runner off the console, except for warnings.

    The environment, the whole config and the order of the hooks are 15 to 30 kB. They would stand
    before, and hide, the message about what cannot be built. The log file has them.
    """
    build_logger = Runner.build_logger
    loggers: list[logging.Logger] = []

    def build_quietly(runner: Runner, *args: Any, **kwargs: Any) -> logging.Logger:
        logger = build_logger(runner, *args, **kwargs)
        loggers.append(logger)
        for handler in _handlers(logger, of_files=False):
            handler.addFilter(_is_warning)
        for file in _handlers(logger, of_files=True):
            tell_faults_once(file)
        return logger

    try:
        with patch.object(Runner, 'build_logger', build_quietly):
            yield
    finally:
        for logger in loggers:
            for handler in _handlers(logger, of_files=False):
                handler.removeFilter(_is_warning)
                handler.addFilter(_is_no_parameter)
            for file in _handlers(logger, of_files=True):
                logger.info(f'environment, config and hooks: {file.baseFilename}')


def tell_faults_once(file: logging.FileHandler) -> None:
    """Say once that a log file cannot be written; logging prints a traceback for each line."""
    handle, told = file.handleError, False

    def handle_once(record: logging.LogRecord) -> None:
        nonlocal told
        error = sys.exception()
        if not isinstance(error, OSError):
            handle(record)
        elif not told:
            told = True
            sys.stderr.write(f'{file.baseFilename} cannot be written: {error.strerror}\n')

    file.handleError = handle_once  # type: ignore[method-assign]


def _handlers(logger: logging.Logger, *, of_files: bool) -> list[Any]:
    return [h for h in logger.handlers if isinstance(h, logging.FileHandler) == of_files]


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _is_no_parameter(record: logging.LogRecord) -> bool:
    """Leave out mmengine's line for each option of each parameter: 20 kB before the first step."""
    return not record.getMessage().startswith('paramwise_options')
