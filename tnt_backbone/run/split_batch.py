"""The same optimizer steps in smaller portions: less memory, as many images per step."""

import re
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..checkpoints.read import read_meta
from ..errors import InputError

# Keys that count iterations, where a part of the config counts those
SCHEDULE = ('begin', 'end', 'T_max', 'step_size', 'total_steps', 'milestones', 'periods')
LOOP = ('max_iters', 'val_interval', 'val_begin')
CHECKPOINTS = ('interval', 'save_begin')
AVERAGE = ('interval', 'begin_iter')


def divisors(cfg: Config) -> list[int]:
    """Return into how many equal parts the batch of a process can be split; 1 is left out."""
    images = (cfg.get('train_dataloader') or {}).get('batch_size') or 1
    return [part for part in range(2, images + 1) if images % part == 0]


def split_batch(cfg: Config, parts: int) -> list[str]:
    """Compute each batch in parts, in place (``--split-batch``).

    A process loads ``batch_size / parts`` images at a time and accumulates the gradients of
    ``parts`` times as many iterations. What the config counts in iterations is multiplied too:
    length, schedule, and intervals of validation, checkpoints and averages of the weights. So the
    optimizer makes the same number of steps with the same number of images and the same learning
    rates.

    Returns:
        Notes for the log.

    Raises:
        ValueError: If the batch cannot be split so, or the run that is resumed was not.
    """
    possible = divisors(cfg)
    if parts not in possible:
        images = cfg.train_dataloader.get('batch_size')
        choice = ', '.join(map(str, possible)) or 'nothing, as one image cannot be split'
        raise InputError(
            f'--split-batch {parts}: train_dataloader.batch_size={images} can be split into '
            f'{choice}. To save memory otherwise: --cfg-options model.backbone.with_cp=True'
        )
    cfg.train_dataloader.batch_size //= parts
    wrapper = cfg.optim_wrapper
    wrapper['accumulative_counts'] = wrapper.get('accumulative_counts', 1) * parts
    for scheduler in _schedulers(cfg.get('param_scheduler') or []):
        if not scheduler.get('by_epoch', True):
            _multiply(scheduler, SCHEDULE, parts)
            if 'Exponential' in str(scheduler.get('type')):
                scheduler['gamma'] **= 1 / parts
    if 'max_iters' in cfg.train_cfg:
        _multiply(cfg.train_cfg, LOOP, parts)
        cfg.train_cfg.setdefault('val_interval', 1000 * parts)  # mmengine's default
        for pair in cfg.train_cfg.get('dynamic_intervals') or ():
            pair[:] = [number * parts for number in pair]
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if not checkpoint.get('by_epoch', True):
        _multiply(checkpoint, CHECKPOINTS, parts)
    for hook in cfg.get('custom_hooks') or []:
        if 'EMAHook' in str(hook.get('type')):
            hook.setdefault('interval', 1)
            _multiply(hook, AVERAGE, parts)
    _check_resumed(cfg)
    return [
        f'--split-batch {parts}: batch norm, and losses that divide by a number of objects, see '
        f'{cfg.train_dataloader.batch_size} instead of '
        f'{cfg.train_dataloader.batch_size * parts} images at a time'
    ]


def _schedulers(node: Any) -> list[dict[str, Any]]:
    """Return the schedulers of one optimizer, or of several by name."""
    if isinstance(node, dict):
        return (
            [node] if 'type' in node else [s for part in node.values() for s in _schedulers(part)]
        )
    return [scheduler for part in node for scheduler in _schedulers(part)]


def _multiply(part: dict[str, Any], keys: tuple[str, ...], factor: int) -> None:
    for key in keys:
        value = part.get(key)
        if isinstance(value, list | tuple):
            part[key] = [number * factor for number in value]
        elif isinstance(value, int) and value > 0:
            part[key] = value * factor


def _check_resumed(cfg: Config) -> None:
    """Check that the run that is resumed counted its iterations in the same way.

    Its checkpoint brings its schedule, which would end too early or too late.

    Raises:
        ValueError: If it did not.
    """
    if not cfg.get('resume') or not Path(cfg.get('load_from') or '').is_file():
        return
    text = read_meta(cfg.load_from).get('cfg')
    if not isinstance(text, str):
        return
    found = re.search(r'\baccumulative_counts\s*=\s*(\d+)', text)
    before, now = int(found[1]) if found else 1, cfg.optim_wrapper.accumulative_counts
    if before != now:
        raise InputError(
            f'--split-batch cannot change while a run is resumed: {cfg.load_from} accumulated '
            f'{before} iterations, and now there would be {now}. Resume with the --split-batch of '
            'that run. To save memory: --cfg-options model.backbone.with_cp=True'
        )
