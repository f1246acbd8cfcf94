"""A resumed run whose config says another schedule or optimizer than its checkpoint."""

import inspect
import math
from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import InputError

CHOICES = ('stop', 'checkpoint')
# Arguments of schedulers that are no part of the schedule.
NO_SCHEDULE = ('self', 'optimizer', 'last_step', 'verbose')
SHOWN = 8  # differences in the message


@HOOKS.register_module()
class ResumedScheduleHook(Hook):
    """Stop a resumed run that would train by another schedule than its config says.

    mmengine restores all attributes of schedulers (``end``, ``T_max``, milestones) and all options
    of the optimizer (learning rate, weight decay, betas) from the checkpoint. So whoever resumes
    with a changed config trains on with the old values. If the number of schedulers differs, it
    restores the first ones.

    Args:
        on_change: ``'stop'``, or ``'checkpoint'`` to go on with the values of the checkpoint.

    Raises:
        ValueError: If ``on_change`` is something else.
    """

    def __init__(self, on_change: str = 'stop') -> None:
        if on_change not in CHOICES:
            raise InputError(f'resume_schedule={on_change!r} must be one of {", ".join(CHOICES)}')
        self.on_change = on_change

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare, while the schedulers and the optimizer are still those of the config.

        Raises:
            ValueError: If they differ.
        """
        if not runner._resume:
            return
        found = list(_differences(runner, checkpoint))
        if not found:
            return
        more = [f'and {len(found) - SHOWN} more'] if len(found) > SHOWN else []
        listed = '\n  '.join(found[:SHOWN] + more)
        if self.on_change == 'checkpoint':
            runner.logger.warning(
                f'The run goes on with these values of its checkpoint, not with the '
                f"config's:\n  {listed}"
            )
            return
        path = runner._load_from
        raise InputError(
            f'{path} was trained with another schedule or optimizer than the config says:\n'
            f'  {listed}\n'
            'A resumed run takes them from the checkpoint. To go on with the values of the '
            'checkpoint: --cfg-options resume_schedule=checkpoint. To train with those of the '
            f'config: start a new run from the weights, without --resume: --cfg-options '
            f'load_from={path}'
        )


def _differences(runner: Runner, checkpoint: dict[str, Any]) -> Iterator[str]:
    yield from _of_schedulers(runner.param_schedulers, checkpoint.get('param_schedulers'), '')
    scheduled = {scheduler.param_name for scheduler in _all_of(runner.param_schedulers)}
    if 'optimizer' not in checkpoint:
        return
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)  # several have no single one
    if optimizer is None:
        return
    now, then = optimizer.param_groups, checkpoint['optimizer'].get('param_groups', [])
    if len(now) != len(then):
        yield f'optimizer: {len(then)} groups of parameters in the checkpoint, {len(now)} here'
        return
    said: set[str] = set()
    for here, there in zip(now, then, strict=True):
        for key in here.keys() - {'params', *scheduled} - said:
            # a newer torch may have further switches
            if key not in there and (here[key] is None or isinstance(here[key], bool)):
                continue
            if key not in there or not _equal(here[key], there[key]):
                said.add(key)
                was = there.get(key, 'not')
                yield f'optimizer, {key}: {was} in the checkpoint, {here[key]} in the config'


def _of_schedulers(here: Any, there: Any, prefix: str) -> Iterator[str]:
    if isinstance(here, dict):  # of several optimizers, by name
        for name, schedulers in here.items():
            yield from _of_schedulers(schedulers, (there or {}).get(name), f'{name}: ')
        return
    here, there = here or [], there or []
    if len(here) != len(there):
        yield f'{prefix}{len(there)} schedulers in the checkpoint, {len(here)} in the config'
        return
    for number, (scheduler, state) in enumerate(zip(here, there, strict=True)):
        name = f'{prefix}{type(scheduler).__name__} (param_scheduler[{number}])'
        now = scheduler.state_dict()
        if now.get('factor') == state.get('factor') == 1:
            continue  # constant: when it begins and ends makes no difference
        for key in _arguments(type(scheduler)):
            if key not in now:
                continue
            if key not in state:
                yield f'{name}: the checkpoint has a scheduler of another type'
                break
            if not _equal(now[key], state[key]):
                yield f'{name}, {key}: {state[key]} in the checkpoint, {now[key]} in the config'


def _arguments(kind: type) -> list[str]:
    """Return the names of a scheduler's arguments; what else it holds moves with the steps."""
    names = {}
    for base in kind.__mro__:
        if base is not object and '__init__' in vars(base):
            names.update(dict.fromkeys(inspect.signature(base.__init__).parameters))  # type: ignore[misc]
    return [name for name in names if name not in NO_SCHEDULE]


def _all_of(schedulers: Any) -> Iterator[Any]:
    if isinstance(schedulers, dict):
        for some in schedulers.values():
            yield from some
    else:
        yield from schedulers or ()


def _equal(here: Any, there: Any) -> bool:
    if isinstance(here, (int, float)) and isinstance(there, (int, float)):
        return math.isclose(here, there, rel_tol=1e-9)
    if isinstance(here, (list, tuple)) and isinstance(there, (list, tuple)):
        return len(here) == len(there) and all(map(_equal, here, there))
    return bool(here == there)
