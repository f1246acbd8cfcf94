"""Automatic mixed precision, on a GPU and on a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from ..errors import InputError


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """bfloat16 autocast on the CPU, where mmengine's ``AmpOptimWrapper`` refuses to work.

    bfloat16 has the exponent range of float32, so there is no loss scale. Checkpoints can be
    resumed by ``AmpOptimWrapper`` on a GPU, and the other way round.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast."""
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision (``--amp``): float16 with a dynamic loss scale, bfloat16 on a CPU.

    ``--cfg-options optim_wrapper.dtype=bfloat16`` asks for bfloat16 on a GPU too. FSDP2 has no loss
    scale, so it takes bfloat16.

    Raises:
        ValueError: If the config has a wrapper of another kind, which would be lost.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', OptimWrapper, 'AmpOptimWrapper', AmpOptimWrapper):
        raise InputError(
            f'--amp makes optim_wrapper.type AmpOptimWrapper, and the config has {kind!r}. Leave '
            '--amp out, or set optim_wrapper.type=OptimWrapper'
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    if (cfg.get('model_wrapper_cfg') or {}).get('type') == 'FSDP2':
        cfg.optim_wrapper.update(dtype='bfloat16', loss_scale={'enabled': False})
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def suit_amp_to_device(cfg: Config) -> None:
    """Make an ``AmpOptimWrapper``, asked for by ``--amp`` or by the config, work without a GPU.

    Raises:
        ValueError: If a number format is asked for that autocast does not know on a CPU.
    """
    wrapper: dict[str, Any] = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') not in ('AmpOptimWrapper', AmpOptimWrapper) or get_device() != 'cpu':
        return
    dtype = wrapper.pop('dtype', 'bfloat16')
    if dtype not in ('bfloat16', torch.bfloat16):
        raise InputError(
            f'optim_wrapper.dtype={dtype!r} is for GPUs: on a CPU, AMP trains in bfloat16. Leave '
            'the dtype out or set --cfg-options optim_wrapper.dtype=bfloat16'
        )
    wrapper.pop('loss_scale', None)
    wrapper['type'] = 'CpuAmpOptimWrapper'
