"""OpenMMLab's inferencers without the code that a config in a checkpoint may hold.

Without ``model``, an inferencer takes the config out of the weights and runs its text as Python.
Here the text is read as data, and only names of the libraries are accepted.

The package imports this file when mmengine's inferencers exist (``waiting.py``).
"""

import functools
from typing import Any

from mmengine.infer.infer import BaseInferencer
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from .errors import InputError
from .run.embedded_config import UntrustedConfigError, trusted_config

VISUALIZERS = {
    'mmdet': 'DetLocalVisualizer',
    'mmseg': 'SegLocalVisualizer',
    'mmpretrain': 'UniversalVisualizer',
}
_init_model = BaseInferencer._init_model


def _text_in(checkpoint: Any) -> Any:
    """Return the text of the config, from the places where mmengine looks for it."""
    for path in (('message_hub', 'runtime_info', 'cfg'), ('meta', 'cfg')):
        found = checkpoint
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return None


@functools.wraps(_init_model)
def init_model(inferencer: Any, cfg: Any, weights: str | None, device: str = 'cpu') -> nn.Module:
    """Build the model of an inferencer; a config out of the weights is read as data.

    Args:
        inferencer: The inferencer.
        cfg: The config; an empty one is filled from the weights.
        weights: The checkpoint.
        device: Where the model shall be.

    Raises:
        ValueError: If the weights have no config, or one that names what it must not.
    """
    if not cfg and weights is not None:
        text = _text_in(CheckpointLoader.load_checkpoint(weights, map_location='cpu'))
        if text is None:
            raise InputError(f'{weights} has no config inside. Pass one: model=CONFIG')
        try:
            trusted = trusted_config(text)
        except UntrustedConfigError as error:
            raise UntrustedConfigError(
                f'{weights}: {error}. For an inferencer: model=CONFIG'
            ) from error
        cfg.update(trusted._cfg_dict)
        cfg.visualizer = {
            'type': VISUALIZERS[trusted.default_scope],
            'vis_backends': [{'type': 'LocalVisBackend'}],
            'name': 'visualizer',
        }
    return _init_model(inferencer, cfg, weights, device)


BaseInferencer._init_model = init_model
