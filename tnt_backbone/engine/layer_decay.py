"""Layer-wise learning-rate decay for all our backbones, in all three libraries.

MMDetection's constructor refuses backbones that it does not know, MMSegmentation's ignores
``custom_keys``, and MMPretrain's sets no ``lr_mult``. This one asks the backbone how deep a
parameter lies (``get_layer_depth``, MMPretrain's protocol) and leaves everything else to mmengine's
default constructor.
"""

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from prettytable import PrettyTable
from torch import nn

from ..errors import InputError

MULTIPLIERS = ('lr_mult', 'decay_mult')  # of custom_keys, which mmengine leaves in the groups


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Multiply a parameter's learning rate by ``layer_decay_rate`` for each layer above it.

    Heads, necks and the backbone's pyramid, which no weights were published for, keep the full
    rate. The last block has it times ``layer_decay_rate``, the one before times its square, and so
    on down to the embedding. All other keys of ``paramwise_cfg`` (``custom_keys`` with ``lr_mult``
    and ``decay_mult``, ``norm_decay_mult``, ``bias_decay_mult`` ...) mean what they mean to
    mmengine's default constructor. Parameters of the same rate and decay share a group, and a table
    of the groups is logged.

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
        ValueError: If ``layer_decay_rate`` is missing or out of its range, the optimizer has no
            ``lr``, or no part of the model has ``get_layer_depth``.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        rate = (paramwise_cfg or {}).get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0.0 < rate <= 1.0:
            raise InputError(
                f'paramwise_cfg.layer_decay_rate={rate!r} must be a number in (0, 1]; 1 decays '
                'nothing'
            )
        self.layer_decay_rate = rate
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        if self.base_lr is None:
            raise InputError(
                'LayerDecayOptimWrapperConstructor multiplies optim_wrapper.optimizer.lr, and '
                f'{self.optimizer_cfg} has none. Set lr'
            )

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
        base_lr: Any = self.base_lr
        groups: dict[str, dict[str, Any]] = {}
        for group in params:
            (parameter,) = group['params']
            name = names.pop(id(parameter), None)
            if name is None:  # shared by two modules; a step moves it once
                continue
            options = {key: group[key] for key in group if key not in ('params', *MULTIPLIERS)}
            options['lr'] = group.get('lr', base_lr) * self.layer_decay_rate ** depths[name]
            if self.base_wd is not None:  # else the optimizer has a default of its own
                options.setdefault('weight_decay', self.base_wd)
            merged = groups.setdefault(
                repr(sorted(options.items())), {**options, 'params': [], 'names': []}
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

    The outermost module with ``get_layer_depth`` answers for all of its parameters: the model
    itself in MMPretrain, the backbone in MMDetection and MMSegmentation.

    Args:
        model: A model with one or more modules that have ``get_layer_depth``, or such a module.

    Returns:
        Name of each parameter to the number of layers above it; 0 outside of those modules.

    Raises:
        ValueError: If no module has ``get_layer_depth``.
    """
    depths: dict[int, int] = {}  # by id(), since a shared parameter has several names
    answered: list[str] = []
    for path, module in model.named_modules():
        prefix = f'{path}.' if path else ''
        if not hasattr(module, 'get_layer_depth') or prefix.startswith(tuple(answered)):
            continue
        try:
            found = {
                id(parameter): module.get_layer_depth(name)
                for name, parameter in module.named_parameters()
            }
        except NotImplementedError:  # a classifier whose backbone has none
            continue
        answered.append(prefix)
        depths |= {key: number - 1 - depth for key, (depth, number) in found.items()}
    if not answered:
        raise InputError(
            f'no part of this {type(model).__name__} has get_layer_depth(), which layer-wise decay '
            'asks for the depth of a parameter: our backbones have it, and some of mmpretrain'
        )
    return {name: depths.get(id(parameter), 0) for name, parameter in model.named_parameters()}


def group_table(groups: list[dict[str, Any]]) -> str:
    """Draw the groups: learning rate, weight decay, number of parameters, and one name of each."""
    table = PrettyTable(['lr', 'weight decay', 'tensors', 'parameters', 'such as'])
    table.align = 'r'
    table.align['such as'] = 'l'
    for group in groups:
        decay = group.get('weight_decay')
        table.add_row(
            [
                f'{group["lr"]:.3g}',
                'default' if decay is None else f'{decay:.3g}',
                len(group['params']),
                sum(parameter.numel() for parameter in group['params']),
                group['names'][0],
            ]
        )
    return str(table)
