"""Repeat the iteration whose loss was not finite, from what the run has kept of it."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope

from ..engine.not_finite import set_random_state
from ..engine.step_in_parts import parts_of


def replay(path: str, *, is_anomaly_traced: bool = False) -> dict[str, Any]:
    """Repeat the forward and backward pass of a kept iteration.

    Args:
        path: A file of ``<work folder>/not_finite``. It holds Python's objects of the batch, which
            may run code when they are read: open only files of your own runs.
        is_anomaly_traced: Let PyTorch name the operation whose gradient is not a number first; an
            error of PyTorch then ends the call.

    Returns:
        ``losses``: each loss of the model, as numbers. ``kept``: the same from the run.
        ``parameters``: names of those whose gradient is not finite. ``model``, ``batch``: for a
        closer look.
    """
    content = torch.load(path, map_location='cpu', weights_only=False)
    cfg = Config.fromstring(content['meta']['cfg'], '.py')
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    model = MODELS.build(cfg.model).to(get_device())
    model.load_state_dict(content['state_dict'])
    model.train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    set_random_state(content['random_state'])
    with torch.autograd.set_detect_anomaly(is_anomaly_traced):
        for part in content['batch'] if parts_of(cfg) > 1 else [content['batch']]:
            with wrapper.optim_context(model):
                batch = model.data_preprocessor(part, True)
                losses = model._run_forward(batch, mode='loss')
            total, _ = model.parse_losses(losses)
            total.backward()
            if not torch.isfinite(total):
                break  # the part that the run has kept the losses of
    return {
        'losses': {name: _numbers(value) for name, value in losses.items()},
        'kept': {name: value.tolist() for name, value in content['losses'].items()},
        'parameters': [
            name
            for name, parameter in model.named_parameters()
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
        ],
        'model': model,
        'batch': batch,
    }


def _numbers(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [float(part.detach().float().mean()) for part in value]
    return value.detach().tolist()
