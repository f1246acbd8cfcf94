"""Layer-wise learning-rate decay for all our backbones, in all three libraries.

MMDetection's constructor refuses backbones that it does not know, MMSegmentation's ignores
``custom_keys``, and MMPretrain's sets no ``lr_mult``. This one asks the backbone how deep a
parameter lies (``get_layer_depth``, MMPretrain's protocol) and leaves everything else to mmengine's
default constructor.
"""

from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from prettytable import PrettyTable
from torch import nn

MULTIPLIERS = ('lr_mult', 'decay_mult')  # of custom_keys, which mmengine leaves in the groups


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Multiply a parameter's learning rate by ``layer_decay_rate`` for each layer above it.

    Heads, necks and the pyramid keep the full rate, the last block has it times
    ``layer_decay_rate``, the one before times its square, and so on down to the embedding. All
    other keys of ``paramwise_cfg`` (``custom_keys`` with ``lr_mult`` and ``decay_mult``,
    ``norm_decay_mult``, ``bias_decay_mult`` ...) mean what they mean to mmengine's default
    constructor. Parameters of the same rate and decay share a group, and a table of the groups is
    logged.

    ::

        custom_imports = dict(imports=['tnt_backbone.engine'])  # not with this package's tools
        optim_wrapper = dict(
            constructor='LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.8, norm_decay_mult=0.0),
        )

    Args:
        optim_wrapper_cfg: As mmengine's.
        paramwise_cfg: As mmengine's, with ``layer_decay_rate`` in (0, 1].

    Raises:
        ValueError: If ``layer_decay_rate`` is missing or out of its range, or no part of the model
            has ``get_layer_depth``.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        rate = (paramwise_cfg or {}).get('layer_decay_rate')
        if rate is None or not 0.0 < rate <= 1.0:
            raise ValueError(
                f'paramwise_cfg.layer_decay_rate={rate} must lie in (0, 1]; 1 decays nothing'
            )
        self.layer_decay_rate = rate
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Make the groups; mmengine calls it for each module, and first for the whole model."""
        super().add_params(params, module, prefix=prefix, is_dcn_module=is_dcn_module)
        if prefix:
            return
        depths = layer_depths(module)
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        groups: dict[Any, dict[str, Any]] = {}
        for group in params:
            (parameter,) = group['params']
            name = names[id(parameter)]
            options = {key: group[key] for key in group if key not in ('params', *MULTIPLIERS)}
            options['lr'] = group.get('lr', self.base_lr) * self.layer_decay_rate ** depths[name]
            options.setdefault('weight_decay', self.base_wd or 0.0)
            merged = groups.setdefault(
                tuple(sorted(options.items())), {**options, 'params': [], 'names': []}
            )
            merged['params'].append(parameter)
            merged['names'].append(name)
        # Logs show the rate of the first group: that of the heads.
        params[:] = sorted(groups.values(), key=lambda group: -group['lr'])
        print_log(f'layer-wise decay of the learning rate:\n{group_table(params)}', 'current')
        for group in params:
            del group['names']


def layer_depths(model: nn.Module) -> dict[str, int]:
    """Count the layers above each parameter of a model.

    Args:
        model: A model with one or more parts that have ``get_layer_depth``, or such a part itself.

    Returns:
        Name of each parameter to the number of layers above it; 0 outside of those parts.

    Raises:
        ValueError: If no part has ``get_layer_depth``.
    """
    parts = {name: part for name, part in model.named_modules() if hasattr(part, 'get_layer_depth')}
    if not parts:
        raise ValueError(
            f'no part of this {type(model).__name__} has get_layer_depth(), which layer-wise decay '
            'asks for the depth of a parameter: our backbones have it, and some of mmpretrain'
        )
    depths = dict.fromkeys((name for name, _ in model.named_parameters()), 0)
    for part_name, part in parts.items():
        prefix = f'{part_name}.' if part_name else ''
        for name, _ in part.named_parameters():
            depth, number = part.get_layer_depth(prefix + name, prefix)
            depths[prefix + name] = number - 1 - depth
    return depths


def group_table(groups: list[dict[str, Any]]) -> str:
    """Draw the groups: learning rate, weight decay, number of parameters, and one name of each."""
    table = PrettyTable(['lr', 'weight decay', 'tensors', 'parameters', 'such as'])
    table.align = 'r'
    table.align['such as'] = 'l'
    for row in _rows(groups):
        table.add_row(row)
    return str(table)


def _rows(groups: list[dict[str, Any]]) -> Iterator[list[Any]]:
    for group in groups:
        yield [
            f'{group["lr"]:.3g}',
            f'{group["weight_decay"]:.3g}',
            len(group['params']),
            sum(parameter.numel() for parameter in group['params']),
            group['names'][0],
        ]
