"""Weights that are spread over the processes: loaded from whole tensors, and copied."""

from typing import Any

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor


def copy_of_weights(model: nn.Module) -> nn.Module:
    """Return modules with the same names, parameters and buffers, and nothing to compute with.

    Averages of the weights need no more (mmengine's ``EMAHook``), and ``fully_shard`` does not
    allow a deep copy.
    """

    def copied(module: nn.Module) -> nn.Module:
        new = nn.Module()
        for name, parameter in module._parameters.items():
            value = None if parameter is None else nn.Parameter(parameter.detach().clone())
            new.register_parameter(name, value)
        for name, buffer in module._buffers.items():
            persistent = name not in module._non_persistent_buffers_set
            new.register_buffer(
                name, None if buffer is None else buffer.clone(), persistent=persistent
            )
        for name, child in module.named_children():
            new.add_module(name, copied(child))
        return new

    if isinstance(model, FSDPModule):
        model.reshard()
    new = copied(model)
    accept_whole_tensors(new)
    return new


def shard_like(value: Tensor, parameter: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, if its parameter is sharded."""
    if not isinstance(parameter, DTensor) or isinstance(value, DTensor):
        return value
    value = value.to(parameter.device)
    # each process has the whole tensor, so nothing is sent
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def accept_whole_tensors(model: nn.Module) -> None:
    """Let ``load_state_dict``, torch's and mmengine's, take whole tensors for sharded parameters.

    Without it, mmengine would warn of an error for each tensor and go on with the old weights.
    """

    def shard(module: nn.Module, state: dict[str, Any], prefix: str, *args: Any) -> None:
        if isinstance(module, FSDPModule):
            module.reshard()
        for name, parameter in module._parameters.items():
            value = state.get(prefix + name)
            if not isinstance(value, Tensor) or parameter is None:
                continue
            if value.shape == parameter.shape:  # else torch says that it does not fit
                state[prefix + name] = shard_like(value, parameter)

    for module in model.modules():
        module.register_load_state_dict_pre_hook(shard)
