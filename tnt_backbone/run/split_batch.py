"""The same optimizer steps in smaller portions: on less memory, or on fewer GPUs."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..checkpoints.read import read_meta
from ..engine.step_in_parts import HOOK, images_per_step, parts_of
from ..errors import InputError
from .ranks import world_size

COLLATE = 'collate_parts'  # of engine/step_in_parts.py


def divisors(cfg: Config) -> list[int]:
    """Return into how many parts each part of a batch can be split; 1 is left out."""
    images = ((cfg.get('train_dataloader') or {}).get('batch_size') or 1) // parts_of(cfg)
    return [part for part in range(2, images + 1) if images % part == 0]


def split_batch(cfg: Config, parts: int) -> list[str]:
    """Compute each batch in parts, in place (``--split-batch``).

    The images of an optimizer step stay the same, and so do the numbers of steps and iterations. So
    a run may be resumed with another number of parts.

    Returns:
        Notes for the log.

    Raises:
        ValueError: If the batch cannot be split so.
    """
    possible = divisors(cfg)
    images = (cfg.train_dataloader.get('batch_size') or 1) // parts_of(cfg)
    if parts not in possible:
        choice = ', '.join(map(str, possible)) or 'nothing, as one image cannot be split'
        raise InputError(
            f'--split-batch {parts}: train_dataloader.batch_size={images} can be split into '
            f'{choice}. To save memory otherwise: --cfg-options model.backbone.with_cp=True'
        )
    _multiply_parts(cfg, parts)
    cfg.split_batch = cfg.get('split_batch', 1) * parts  # for the advice to split further
    return [
        f'--split-batch {parts}: batch norm, and losses that divide by a number of objects, see '
        f'{images // parts} instead of {images} images at a time'
    ]


def keep_batch_of(cfg: Config, processes: int, here: int | None = None) -> list[str]:
    """Make the optimizer steps of another number of processes, in place (``--batch-of``).

    With fewer processes, each computes the batches of several, one after the other. If their number
    divides ``processes``, the steps are those of ``processes``, except for rounding and random
    numbers.

    Args:
        cfg: The config; its ``train_dataloader.batch_size`` is for one of ``processes``.
        processes: The number of processes that the batch is for.
        here: The number of processes of this run; by default what the launcher says.

    Returns:
        Notes for the log.

    Raises:
        ValueError: If the images cannot be shared out equally.
    """
    here = world_size(cfg.get('launcher') or 'none') if here is None else here
    images = cfg.train_dataloader.get('batch_size') or 1
    total = processes * images
    if processes < 1 or total % here:
        fitting = [n for n in range(1, total + 1) if total % n == 0 and n <= max(here, processes)]
        raise InputError(
            f'--batch-of {processes} makes steps of {processes} x {images} = {total} images, which '
            f'{here} processes cannot share equally. Use '
            f'{" or ".join(map(str, fitting)) or "--batch-of 1 or more"} processes, or change '
            'train_dataloader.batch_size'
        )
    own = total // here
    parts = next(p for p in range(1, own + 1) if own % p == 0 and own // p <= images)
    cfg.train_dataloader.batch_size = own
    if parts > 1:
        _multiply_parts(cfg, parts)
    return [
        f'--batch-of {processes}: {total} images per step in {here} processes, each with '
        f'{parts} x {own // parts} images'
    ]


def _multiply_parts(cfg: Config, factor: int) -> None:
    """Multiply the number of parts of an iteration."""
    wrapper = cfg.optim_wrapper
    wrapper['accumulative_counts'] = wrapper.get('accumulative_counts', 1) * factor
    loader = cfg.train_dataloader
    collate: dict[str, Any] = loader.get('collate_fn') or {'type': 'pseudo_collate'}
    if collate.get('type') == COLLATE:
        collate['parts'] *= factor
        next(hook for hook in cfg.custom_hooks if hook.get('type') == HOOK)['parts'] *= factor
        return
    loader['collate_fn'] = {'type': COLLATE, 'parts': factor, 'collate': collate}
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), {'type': HOOK, 'parts': factor}]


def notes_on_resumed_batch(cfg: Config) -> list[str]:
    """Return a note if the run that is resumed made its steps with another number of images."""
    path = cfg.get('load_from') or ''
    if not cfg.get('resume') or not Path(path).is_file():
        return []
    here = world_size(cfg.get('launcher') or 'none')
    before, now = read_meta(path).get('images_per_step'), images_per_step(cfg, here)
    if not isinstance(before, int) or before == now:
        return []
    return [
        f'{path} was trained with {before} images per step, and this run has {now} in {here} '
        'processes. Its learning rates are for the former. To keep the batch: --batch-of with the '
        'number of processes of that run'
    ]
