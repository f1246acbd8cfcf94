"""Keys that keep norms and biases of a slower backbone free of weight decay.

DETR and similar detectors give the backbone a tenth of the learning rate with ``custom_keys``.
mmengine then ignores ``norm_decay_mult`` and ``bias_decay_mult`` in the backbone: a parameter has
the multipliers of the longest key that is part of its name. Only a parameter without such a key has
those of its kind.
"""

from collections.abc import Sequence
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import InputError

BACKBONE, PYRAMID = 'backbone', 'backbone.pyramid'
NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
# the backbones' tokens and position tables, which have no weight decay
UNDECAYED = ('cls_token', 'word_pos', 'sentence_pos')

Keys = dict[str, dict[str, float]]


def slow_backbone_keys(model: nn.Module, lr_mult: float, undecayed: Sequence[str]) -> Keys:
    """Make the ``custom_keys`` of a model whose backbone learns slowly.

    The pyramid, which is not pretrained, learns at the full rate.

    Args:
        model: A model with one of our backbones. The keys fit the names of its parameters.
        lr_mult: What the backbone's learning rate is multiplied by.
        undecayed: Names of further parameters without weight decay: position tables, class token.
    """
    wanted: dict[str, tuple[float, float] | None] = {}
    for module_name, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            path = f'{module_name}.{name}'
            if BACKBONE not in path:
                wanted[path] = None
                continue
            decays = not (isinstance(module, NORMS) or name in ('bias', *undecayed))
            wanted[path] = (1.0 if PYRAMID in path else lr_mult, float(decays))
    keys = {BACKBONE: {'lr_mult': lr_mult}, PYRAMID: {'lr_mult': 1.0}}
    for path, multipliers in wanted.items():
        if multipliers and not multipliers[1]:
            keys[_shortest_tail(path, wanted)] = {'lr_mult': multipliers[0], 'decay_mult': 0.0}
    return keys


def _shortest_tail(path: str, wanted: dict[str, tuple[float, float] | None]) -> str:
    """Return the shortest end of a name that only parameters of the same multipliers have."""
    parts = path.split('.')
    at_least = len(PYRAMID if PYRAMID in path else BACKBONE)  # the longest key wins
    tails = ('.'.join(parts[-number:]) for number in range(1, len(parts) + 1))
    return next(
        tail
        for tail in tails
        if len(tail) > at_least
        and all(wanted[other] == wanted[path] for other in wanted if tail in other)
    )


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class SlowBackboneOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Give the backbone a share of the learning rate, and its norms and biases no weight decay.

    The share is ``custom_keys.backbone.lr_mult``. The class token and the position tables have no
    weight decay either, and the pyramid, which is not pretrained, learns at the full rate. All
    other keys of ``paramwise_cfg`` mean what they mean to mmengine's default constructor, and a
    key of the config's own wins over the same key made here.

    ::

        optim_wrapper = dict(
            constructor='SlowBackboneOptimWrapperConstructor',
            paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
        )

    Args:
        optim_wrapper_cfg: As mmengine's.
        paramwise_cfg: As mmengine's, with ``custom_keys.backbone.lr_mult``.

    Raises:
        ValueError: If ``custom_keys.backbone.lr_mult`` is missing.
    """

    paramwise_cfg: dict[str, Any]

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        self.own_keys = dict((paramwise_cfg or {}).get('custom_keys') or {})
        if 'lr_mult' not in self.own_keys.get(BACKBONE, {}):
            raise InputError(
                'SlowBackboneOptimWrapperConstructor needs '
                'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult, such as 0.1. '
                f'custom_keys has: {", ".join(self.own_keys) or "nothing"}'
            )
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Make the groups; mmengine calls it for each module, and first for the whole model."""
        if not prefix:
            keys = slow_backbone_keys(module, self.own_keys[BACKBONE]['lr_mult'], UNDECAYED)
            self.paramwise_cfg = {**self.paramwise_cfg, 'custom_keys': {**keys, **self.own_keys}}
        super().add_params(params, module, prefix=prefix, is_dcn_module=is_dcn_module)
