"""FSDP2: parameters, gradients and the optimizer's state are spread over the processes.

mmengine 0.10.7 has FSDP1 only. torch's ``fully_shard`` changes a model in place: its parameters
become DTensors, of which each process holds a part.
"""

from collections import Counter
from collections.abc import Collection
from functools import partial
from typing import Any

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Shard
from torch.utils._pytree import tree_map

from ..errors import InputError
from .sharded_weights import accept_whole_tensors, copy_of_weights

BLOCKS = ('TNTBlock', 'PyramidTNTBlock', 'TransformerBlock')  # classes of our backbones
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


@MODEL_WRAPPERS.register_module()
class FSDP2(nn.Module):
    """A model of mmengine, sharded block by block.

    While a block is computed, its process holds all of its weights; what is outside of the blocks
    makes one more group. The weights are initialised here, before they are sharded. State dicts of
    whole tensors can be loaded into the model, in any number of processes.
    :class:`~tnt_backbone.engine.whole_checkpoints.WholeCheckpointsHook` saves such state dicts.

    Attributes:
        gathered_bytes: Weights that a process holds besides its part: those outside of the blocks,
            and one block.

    Args:
        module: The model. Its parameters are changed in place.
        blocks: Names of the classes to shard one by one. Only the outermost of nested blocks count.
        mixed_precision: ``dict(param_dtype='bfloat16')`` computes the blocks in bfloat16, and
            ``reduce_dtype`` says in which dtype their gradients are summed (``'float32'``). Stem,
            neck, heads and losses stay in float32, and so do the weights of the optimizer.
        reshard_after_forward: Free a block's weights after its forward pass, and gather them once
            more for the backward pass. ``False`` needs more memory and sends less.

    Raises:
        ValueError: If no block is found, or if a parameter cannot be sharded.
    """

    def __init__(
        self,
        module: BaseModel,
        *,
        blocks: Collection[str] = BLOCKS,
        mixed_precision: dict[str, str] | None = None,
        reshard_after_forward: bool = True,
    ) -> None:
        super().__init__()
        policy = _policy(mixed_precision)
        chosen = _outermost(module, blocks)
        _check_parameters(module)
        _initialise(module)
        device = next(module.parameters()).device.type
        sizes = [_bytes(block) for block in chosen]
        # what a process holds at a time besides its parts
        self.gathered_bytes = _bytes(module) - sum(sizes) + max(sizes)
        options: dict[str, Any] = {
            'mesh': init_device_mesh(device, (get_world_size(),)),
            'shard_placement_fn': _dimension,
        }
        for block in chosen:
            fully_shard(
                block, mp_policy=policy, reshard_after_forward=reshard_after_forward, **options
            )
            if policy.param_dtype is not None:
                _cast_around(block, policy.param_dtype)
        self.module: Any = fully_shard(module, **options)
        _hide_what_would_unshard(self.module)
        accept_whole_tensors(self.module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Compute the losses and their gradients, and let the optimizer make its step."""
        _check_loss_scale(optim_wrapper)
        # torch reads it in the backward pass, after mmengine's context of no_sync has ended
        self.module.set_requires_gradient_sync(optim_wrapper.should_sync())
        with optim_wrapper.optim_context(self):
            losses = self._call(self.module.data_preprocessor(data, True), mode='loss')
        loss, log_vars = self.module.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars

    def val_step(self, data: Any) -> Any:
        """Return predictions."""
        predictions = self._call(self.module.data_preprocessor(data, False), mode='predict')
        # The outer group keeps its gathered weights for a backward pass, which does not follow
        # here. They would stay the same when the weights change, for instance to averaged ones.
        self.module.reshard()
        return predictions

    test_step = val_step

    def _call(self, data: Any, *, mode: str) -> Any:
        return (
            self.module(**data, mode=mode)
            if isinstance(data, dict)
            else self.module(*data, mode=mode)
        )


def _outermost(model: nn.Module, names: Collection[str]) -> list[nn.Module]:
    """Return the blocks that are in no other block, the deepest modules of a model last."""
    found: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        if type(module).__name__ in names and not any(path.startswith(f'{up}.') for up in found):
            found[path] = module
    missing = set(names) - {type(module).__name__ for module in found.values()}
    # of the default names, a model has only those of its backbone
    if missing and (not found or tuple(names) != BLOCKS):
        kinds = Counter(type(m).__name__ for m in model.modules() if [*m.parameters()])
        several = ', '.join(sorted(kind for kind, number in kinds.items() if number > 1))
        raise InputError(
            f'model_wrapper_cfg.blocks={list(names)}: {type(model).__name__} has no '
            f'{" and no ".join(sorted(missing))}. It has several of these: {several}'
        )
    return list(found.values())


def _check_parameters(model: nn.Module) -> None:
    scalars = [name for name, parameter in model.named_parameters() if not parameter.ndim]
    if scalars:
        raise InputError(
            f"model_wrapper_cfg.type='FSDP2' cannot shard parameters without a dimension, and "
            f'{type(model).__name__} has {len(scalars)}: {", ".join(scalars[:3])}. Leave '
            'model_wrapper_cfg out to train with DDP, or choose another head'
        )


def _dimension(parameter: nn.Parameter) -> Shard | None:
    """Return along which dimension to cut a parameter; ``None`` is torch's default, the first.

    Position tables are ``(1, ...)``, so the first process would hold all of them.
    """
    processes = get_world_size()
    if parameter.shape[0] >= processes:
        return None
    fitting = (dim for dim, size in enumerate(parameter.shape) if size % processes == 0)
    dim = next(fitting, None)
    return None if dim is None else Shard(dim)


def _bytes(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())


def _initialise(model: Any) -> None:
    """Initialise the weights as mmengine's Runner would, which comes too late for sharded ones."""
    if hasattr(model, 'init_weights'):
        model.init_weights()
    for value in model.state_dict().values():
        broadcast(value)


def _policy(arguments: dict[str, str] | None) -> MixedPrecisionPolicy:
    if arguments is None:
        return MixedPrecisionPolicy()
    policy = {'reduce_dtype': 'float32', **arguments}
    for key, name in policy.items():
        if key not in ('param_dtype', 'reduce_dtype') or name not in DTYPES:
            raise InputError(
                f'model_wrapper_cfg.mixed_precision.{key}={name!r}: param_dtype and reduce_dtype '
                "can be 'float32' or 'bfloat16'. float16 needs a loss scale, which FSDP2 does not "
                'have'
            )
    dtypes = {key: DTYPES[name] for key, name in policy.items()}
    return MixedPrecisionPolicy(**dtypes, cast_forward_inputs=False)


def _cast_around(block: nn.Module, dtype: torch.dtype) -> None:
    """Give a block inputs of a dtype, and return its outputs in float32.

    torch's policy would do so in the forward pass only, not when activations are computed again.
    """

    def cast(value: Any, to: torch.dtype) -> Any:
        return value.to(to) if isinstance(value, Tensor) and value.is_floating_point() else value

    def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
        return tree_map(partial(cast, to=dtype), (args, kwargs))

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        return tree_map(partial(cast, to=torch.float32), output)

    block.register_forward_pre_hook(before, with_kwargs=True)
    block.register_forward_hook(after)


class _Absent:
    """Stands for a method that a sharded model must not have any more."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        raise AttributeError('the weights were initialised before they were sharded')


def _hide_what_would_unshard(model: nn.Module) -> None:
    """Keep mmengine from initialising sharded weights, and let it copy them for averages.

    Its Runner would initialise each process's part, and then give all processes that of process 0.
    """
    kind: Any = type(model)  # made by fully_shard, a subclass of the model's class
    kind.init_weights = _Absent()
    kind.__deepcopy__ = lambda self, memo: copy_of_weights(self)


def _check_loss_scale(optim_wrapper: OptimWrapper) -> None:
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    if scaler is not None and scaler.is_enabled():
        raise InputError(
            'AmpOptimWrapper has a loss scale, with which each process of model_wrapper_cfg.type='
            "'FSDP2' would leave out other steps. Use bfloat16 without one: --amp, or "
            '--cfg-options optim_wrapper.dtype=bfloat16 optim_wrapper.loss_scale.enabled=False'
        )
