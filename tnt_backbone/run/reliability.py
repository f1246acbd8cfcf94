"""What every training gets, whatever its config says, so that it may be left alone."""

from mmengine.runner import Runner

from ..engine.missed_evaluation import MissedEvaluationHook
from ..engine.repeatable import make_repeatable
from ..engine.safe_checkpoint import make_checkpoints_safe
from ..engine.stop_on_signal import StopOnSignalHook

HOOKS = (MissedEvaluationHook, StopOnSignalHook)


def make_reliable(runner: Runner) -> None:
    """Save checkpoints safely, seed by the place, and add hooks that the config does not name."""
    make_checkpoints_safe(runner)
    make_repeatable(runner)
    there = {type(hook) for hook in runner.hooks}
    for kind in HOOKS:
        if kind not in there:
            runner.register_hook(kind())
