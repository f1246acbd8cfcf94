"""A training that ends in order when the machine is taken away, and goes on with ``--resume``."""

import os
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import distributed

RESUMABLE = 75  # exit status: ended early on request (EX_TEMPFAIL of sysexits.h)
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # schedulers send the first, slurm's --signal the second
AGAIN = 10.0  # seconds; a scheduler and the launcher may both send the same request
SAVE_SECONDS = 600.0  # for which the other processes wait for the one that saves
KEY, SAVED = 'tnt_backbone_stop_at', 'tnt_backbone_stop_saved'


def leave_requests_to_the_process() -> None:
    """Let a data worker live on when all processes are asked to end.

    torchrun sends a signal to the group of each process. PyTorch's data workers would end, and
    the process could not finish its iteration. So they leave the group. SIGTERM still ends them,
    because the process itself ends them with it.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def calm_worker(worker_id: int, **arguments: Any) -> None:
    """Seed a data worker as mmengine does, and let it live on when its process is asked to end."""
    worker_init_fn(worker_id, **arguments)
    leave_requests_to_the_process()


def keep_workers_at_work(runner: Runner) -> None:
    """Let the data workers of the evaluation live on when their process is asked to end."""
    loader = runner._val_dataloader
    if isinstance(loader, dict) and loader.get('num_workers') and 'worker_init_fn' not in loader:
        function: Any = calm_worker
        loader['worker_init_fn'] = {
            'type': function,
            'num_workers': loader['num_workers'],
            'rank': get_rank(),
            'seed': runner.seed,
            'disable_subprocess_warning': loader.pop('disable_subprocess_warning', False),
        }


@HOOKS.register_module()
class StopOnSignalHook(Hook):
    """Let SIGTERM and SIGUSR1 end the training after an iteration, with exit status 75.

    A training that counts iterations saves a checkpoint first. One that counts epochs does not:
    ``--resume`` goes on from the last epoch that ended, as if nothing had happened. All processes
    stop after the same iteration. A signal that comes more than 10 s after the first ends the
    process at once. An evaluation is finished first.
    """

    priority = 'LOWEST'  # after the checkpoint and the log of the iteration

    def __init__(self) -> None:
        self._asked: int | None = None
        self._asked_at = 0.0
        self._before: dict[int, Any] = {}
        self._stop_at: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Listen to the signals."""
        self._process = os.getpid()
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def after_train(self, runner: Runner) -> None:
        """Leave the signals as they were."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        is_first = self._asked is None and os.getpid() == self._process
        if is_first:
            self._asked, self._asked_at = number, time.monotonic()
        # a child has inherited this
        elif os.getpid() != self._process or time.monotonic() - self._asked_at > AGAIN:
            signal.signal(number, self._before[number])
            os.kill(os.getpid(), number)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """End the training if any process was asked to."""
        if not self._is_time(runner.iter):
            return
        last = None
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                if not hook.by_epoch:
                    hook._save_checkpoint(runner)
                last = getattr(hook, 'last_ckpt', None)
        name = signal.Signals(self._asked).name if self._asked else 'a signal to another process'
        runner.logger.warning(
            f'The training ends after iteration {runner.iter + 1}, because of {name}. '
            f'{f"{last} is saved" if last else "There is no checkpoint yet"}. Go on with --resume'
        )
        self._wait_for_the_save()
        self.after_train(runner)
        sys.exit(RESUMABLE)

    def _wait_for_the_save(self) -> None:
        """Stay until the first process has saved: torchrun ends the others after the first exit."""
        if not is_distributed():
            return
        store = distributed.distributed_c10d._get_default_store()
        with suppress(RuntimeError):  # it has ended already, and the store with it
            if is_main_process():
                store.set(SAVED, '')
            else:
                store.wait([SAVED], timedelta(seconds=SAVE_SECONDS))

    def _is_time(self, iteration: int) -> bool:
        if not is_distributed():
            return self._asked is not None
        # Through the processes' store, without the GPU. They are at most one iteration apart, since
        # each waits for the gradients of all, so two iterations later all know.
        store = distributed.distributed_c10d._get_default_store()
        if self._asked is not None and self._stop_at is None:
            store.compare_set(KEY, '', str(iteration + 2))
        if self._stop_at is None and store.check([KEY]):
            self._stop_at = int(store.get(KEY))
        return self._stop_at is not None and iteration >= self._stop_at
