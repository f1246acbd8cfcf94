"""What every training gets, whatever its config says, so that it may be left alone."""

from mmengine.runner import Runner

from ..engine.missed_evaluation import MissedEvaluationHook
from ..engine.not_finite import NotFiniteHook
from ..engine.repeatable import make_repeatable
from ..engine.resumed_schedule import ResumedScheduleHook
from ..engine.safe_checkpoint import make_checkpoints_safe
from ..engine.stop_on_signal import StopOnSignalHook, keep_workers_at_work
from ..engine.stuck import StuckHook
from ..engine.trial_run import TrialRunHook
from ..engine.whole_checkpoints import WholeCheckpointsHook


def make_reliable(runner: Runner) -> None:
    """Save checkpoints safely, seed by the place, and add hooks that the config does not name."""
    make_checkpoints_safe(runner)
    make_repeatable(runner)
    keep_workers_at_work(runner)
    there = {type(hook) for hook in runner.hooks}
    trials = [TrialRunHook()] if runner.cfg.get('trial_run', True) else []
    for hook in (
        *trials,
        NotFiniteHook(runner.cfg.get('not_finite', 'stop')),
        StuckHook(runner.cfg.get('stuck_after', 300)),
        MissedEvaluationHook(),
        ResumedScheduleHook(runner.cfg.get('resume_schedule', 'stop')),
        StopOnSignalHook(),
        WholeCheckpointsHook(),
    ):
        if type(hook) not in there:
            runner.register_hook(hook)
