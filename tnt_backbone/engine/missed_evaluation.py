"""The evaluation that a killed run owes."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from .safe_file import write_safely

NOTE = 'last_evaluation'  # beside mmengine's last_checkpoint: iterations of what was evaluated last


@HOOKS.register_module()
class MissedEvaluationHook(Hook):
    """Evaluate the checkpoint that a run resumes from, if the run was ended before it could.

    Checkpoints are written before their evaluation. Without this, a run that was killed in its last
    evaluation would have neither a result nor a best checkpoint.
    """

    priority = 'LOWEST'  # when all others are ready

    def before_train(self, runner: Runner) -> None:
        """Evaluate, if an evaluation is due and was not noted."""
        if runner.iter == 0:
            if is_main_process():
                (Path(runner.work_dir) / NOTE).unlink(missing_ok=True)  # of an older run
            return
        missed = [is_due(runner) and _evaluated(runner) < runner.iter]
        broadcast_object_list(missed)  # only the first process may see the folder
        if missed[0]:
            runner.logger.warning(
                f'The run was ended before its evaluation after iteration {runner.iter}, which is '
                'done now'
            )
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Note what was evaluated."""
        if is_main_process():
            write_safely(Path(runner.work_dir) / NOTE, str(runner.iter).encode())


def is_due(runner: Runner) -> bool:
    """Return whether mmengine's loop evaluates at this point of a training."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return False
    if isinstance(loop, EpochBasedTrainLoop):
        step, end = loop.epoch, loop.max_epochs
    elif isinstance(loop, IterBasedTrainLoop):
        step, end = loop.iter, loop.max_iters
    else:
        return False
    loop._decide_current_val_interval()
    return step >= loop.val_begin and (step % loop.val_interval == 0 or step == end)


def _evaluated(runner: Runner) -> int:
    """Return the iterations of what was evaluated last, as noted beside the checkpoint."""
    folder = Path(runner._load_from).parent if runner._load_from else Path(runner.work_dir)
    for place in (folder, Path(runner.work_dir)):
        with suppress(OSError, ValueError):
            return int((place / NOTE).read_text())
    return 0
