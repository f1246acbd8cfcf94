"""What to do when the memory is used up: the options that save some, for this config."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import BaseLoop, TestLoop, ValLoop

from ..errors import MemoryLimitError
from .libraries import LIBRARIES
from .pretrained import our_backbones
from .split_batch import divisors

# What PyTorch says where it raises a plain RuntimeError
TEXTS = r'CUDA (error: )?out of memory|ALLOC_FAILED|can.t allocate memory'


@contextmanager
def advice_when_out_of_memory(cfg: Config) -> Iterator[None]:
    """Say which options of a config save memory if there is not enough.

    Raises:
        MemoryLimitError: If the memory is used up. Other errors pass.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is one
        if not is_out_of_memory(error):
            raise
        phase, iteration = _place(error)
        what = str(error).strip().splitlines() or [type(error).__name__]
        raise MemoryLimitError(
            f'out of memory in {phase}{iteration}: {what[0]}\n{advice(cfg, phase)}'
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that no memory was left, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and re.search(TEXTS, str(error)) is not None


def _place(error: BaseException) -> tuple[str, str]:
    """Return which loop an error comes from, and its iteration."""
    phase, iteration = 'training', ''
    trace = error.__traceback__
    while trace is not None:
        loop = trace.tb_frame.f_locals.get('self')
        if isinstance(loop, ValLoop):  # inside a training loop
            phase, iteration = 'validation', ''
        elif isinstance(loop, TestLoop):
            phase, iteration = 'testing', ''
        elif isinstance(loop, BaseLoop):
            iteration = f', iteration {getattr(loop, "iter", 0) + 1}'
        trace = trace.tb_next
    return phase, iteration


def advice(cfg: Config, phase: str) -> str:
    """Return the options that take less memory, those that cost the least time first.

    Args:
        cfg: The config of the run.
        phase: ``'training'``, ``'validation'`` or ``'testing'``.
    """
    options = [*(_for_training(cfg) if phase == 'training' else _for_evaluation(cfg, phase))]
    lines = [f'  {option:44}  {effect}' for option, effect in options]
    go_on = ''
    if phase != 'testing' and Path(cfg.work_dir, 'last_checkpoint').is_file():
        go_on = '\n--resume goes on from the last checkpoint, also with these options'
    return 'Options that take less memory:\n' + '\n'.join(lines) + go_on


def _for_training(cfg: Config) -> Iterator[tuple[str, str]]:
    if 'Amp' not in str(cfg.optim_wrapper.get('type')):
        yield '--amp', 'activations of 16 bits'
    if parts := divisors(cfg):
        yield (
            f'--split-batch {parts[0] * cfg.get("split_batch", 1)}',
            'fewer images at a time, as many per step',
        )
    without = [path for path, part in our_backbones(cfg).items() if not part.get('with_cp')]
    if without:
        keys = ' '.join(f'{path}.with_cp=True' for path in without)
        yield f'--cfg-options {keys}', 'activations are computed again in the backward pass'
    yield 'smaller images', 'docs/training.md, Less memory'


def _for_evaluation(cfg: Config, phase: str) -> Iterator[tuple[str, str]]:
    name = 'val_dataloader' if phase == 'validation' else 'test_dataloader'
    if (cfg.get(name) or {}).get('batch_size', 1) > 1:
        yield f'--cfg-options {name}.batch_size=1', 'one image at a time; the results are the same'
    scope = cfg.get('default_scope')
    if phase == 'testing' and scope in LIBRARIES and LIBRARIES[scope].tests_in_amp:
        yield '--amp', 'activations of 16 bits'
    if scope == 'mmseg' and (cfg.model.get('test_cfg') or {}).get('mode') == 'whole':
        keys = 'mode=slide', 'crop_size=[512,512]', 'stride=[341,341]'
        text = 'windows instead of whole images; results differ a little'
        yield '--cfg-options ' + ' '.join(f'model.test_cfg.{key}' for key in keys), text
    if phase == 'validation':
        yield '--no-validate', 'train first; tnt test CHECKPOINT measures later'
    yield 'smaller images', f'scale in the pipeline of {name}; results differ'
