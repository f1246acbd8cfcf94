"""Weights that do not fit the model: mmengine warns and goes on with random numbers."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import InputError

SHOWN = 3  # names in a message
FLAT = ('_flat_param', '_fsdp_wrapped_module')  # parameters that FSDP has put together


@HOOKS.register_module()
class FittingCheckpointHook(Hook):
    """Refuse a checkpoint whose weights would not reach the model.

    Args:
        whole: Whether all parameters of the model must be in it, as for a test. By default one is
            enough: a training may begin with a part.
    """

    priority = 'LOWEST'  # after hooks that change the checkpoint, such as EMAHook

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare names and shapes before mmengine loads the tensors.

        Raises:
            ValueError: If they do not fit.
        """
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):  # as mmengine does it
            model = model.module
        wanted = {name: tuple(value.shape) for name, value in model.named_parameters()}
        if any(part in name for name in wanted for part in FLAT):
            return
        state = checkpoint.get('state_dict', checkpoint)
        stored = {
            name.removeprefix('module.'): tuple(getattr(value, 'shape', ()))
            for name, value in state.items()
        }
        other = [
            f'{name} {stored[name]}, in the model {shape}'
            for name, shape in wanted.items()
            if stored.get(name, shape) != shape
        ]
        missing = [name for name in wanted if name not in stored]
        fitting = len(wanted) - len(other) - len(missing)
        if not wanted or fitting == len(wanted) or (fitting and not self.whole):
            return
        found = [f'{len(missing)} are missing: {_some(missing)}'] if missing else []
        found += [f'{len(other)} have another shape: {_some(other)}'] if other else []
        raise InputError(
            f'{runner._load_from} does not fit the model of the config: of its {len(wanted)} '
            f'parameters, {"; ".join(found)}. The file has {len(stored)} tensors: '
            f'{_some(list(stored))}. Pass the checkpoint of this config, or the config that the '
            'checkpoint was trained with'
        )


def _some(names: list[str]) -> str:
    return ', '.join(names[:SHOWN]) + (', ...' if len(names) > SHOWN else '')
