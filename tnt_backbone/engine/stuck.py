"""Says where a training is that no longer moves, instead of silence."""

import datetime
import faulthandler
import json
import os
import socket
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any

from mmengine.dist import get_rank, get_world_size, is_distributed
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import distributed

from ..errors import InputError

KEY = 'tnt_backbone_place/'
LOOKS = 20  # how often a thread looks, in the time of the patience


@HOOKS.register_module()
class StuckHook(Hook):
    """Name the processes that have not moved for some time, and show where they are.

    Each process notes its place: an iteration, an evaluation, a checkpoint. A thread of each writes
    that into the processes' store. A process that has not moved for ``patience`` seconds prints its
    stack, and one of them prints the places of all. It says so again after twice and four times
    that time. It ends nothing: that is left to the time limit of the collective operations.

    Args:
        patience: Seconds. A long evaluation or a compiler is named, too.
    """

    priority = 'VERY_LOW'

    def __init__(self, patience: float = 300) -> None:
        if not isinstance(patience, (int, float)) or patience <= 0:
            raise InputError(f'stuck_after={patience!r} must be a number of seconds above 0')
        self.patience = patience
        self.place = 'before its first batch'
        self.since = time.monotonic()

    def _move(self, place: str) -> None:
        self.place, self.since = place, time.monotonic()

    def before_train(self, runner: Runner) -> None:
        """Begin to watch."""
        self._move('before its first batch')
        self.watch: Watch | None = Watch(self)
        threading.Thread(target=_watch, args=(weakref.ref(self.watch),), daemon=True).start()

    def after_train(self, runner: Runner) -> None:
        """Cease to watch."""
        self.watch = None

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Note the place."""
        self._move(f'in the step of iteration {runner.iter + 1}')

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Note the place."""
        self._move(f'waiting for the batch of iteration {runner.iter + 2}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note the place."""
        self._move('saving a checkpoint')

    def before_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Note the place."""
        self._move(f'predicting on batch {batch_idx + 1} of an evaluation')

    def after_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Note the place; after the last batch, the results are computed."""
        self._move(f'past batch {batch_idx + 1} of an evaluation')

    def after_val_epoch(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Note the place."""
        self._move('past an evaluation')


@dataclass
class Place:
    """Where a process is.

    Attributes:
        text: As in "has been ... for 300 s", and which process that is.
        seconds: Since it has moved.
        silent: Seconds since its thread was heard of.
    """

    text: str
    seconds: float
    silent: float = 0.0


class Watch:
    """What a process knows of all."""

    def __init__(self, hook: StuckHook) -> None:
        self.hook, self.reports = hook, 0
        self.rank, self.world = get_rank(), get_world_size()
        self.heard: dict[int, tuple[bytes, float]] = {}
        self.store: Any = None
        if is_distributed():
            # a client of its own: the thread must not wait for what the process waits for
            store: Any = distributed.distributed_c10d._get_default_store()
            self.store = store.clone()
            self.store.set_timeout(datetime.timedelta(seconds=max(1.0, hook.patience / LOOKS)))

    def look(self) -> None:
        """Tell the others, and report if this process has not moved for too long."""
        hook = self.hook
        where = f'(process id {os.getpid()} on {socket.gethostname()})'
        me = Place(f'{hook.place} {where}', time.monotonic() - hook.since)
        try:
            places = {**self._exchange(me), self.rank: me}
        except RuntimeError as error:  # its process has ended, or stands still
            places = {self.rank: me}
            me.text += f' (the other processes cannot be reached: {str(error).splitlines()[0]})'
        if me.seconds < hook.patience:
            self.reports = 0
        elif me.seconds > hook.patience * 2**self.reports:
            self.reports += 1
            self._report(places)

    def _exchange(self, me: Place) -> dict[int, Place]:
        if self.store is None:
            return {}
        self.store.set(f'{KEY}{self.rank}', json.dumps([me.text, me.seconds, time.time()]))
        places = {}
        for rank in range(self.world):
            if rank == self.rank or not self.store.check([f'{KEY}{rank}']):
                continue
            value = self.store.get(f'{KEY}{rank}')
            if self.heard.get(rank, (b'', 0))[0] != value:
                self.heard[rank] = (value, time.monotonic())
            silent = time.monotonic() - self.heard[rank][1]
            text, seconds, _ = json.loads(value)
            places[rank] = Place(text, seconds + silent, silent)
        return places

    def _report(self, places: dict[int, Place]) -> None:
        me = places[self.rank]
        name = f'Process {self.rank} of {self.world}'
        lines = [f'The training does not move. {name} has been {me.text} for {me.seconds:.0f} s.']
        quiet = self.hook.patience / 4
        if self.world > 1 and self.rank == min(r for r in places if places[r].silent < quiet):
            lines.append('The one that has not moved for longest holds up the others:')
            for rank in sorted(places, key=lambda rank: -places[rank].seconds):
                place = places[rank]
                row = f'  process {rank}: {place.text}, {place.seconds:.0f} s'
                if place.silent >= quiet:
                    row += f'. Its thread has been silent for {place.silent:.0f} s: it is stopped'
                lines.append(row)
        sys.stderr.write('\n'.join([*lines, f'The stack of process {self.rank}:', '']))
        sys.stderr.flush()
        faulthandler.dump_traceback(2, all_threads=True)  # 2: the error output


def _watch(reference: 'weakref.ref[Watch]') -> None:
    """Look until the training ends, also by an error."""
    while (watch := reference()) is not None:
        pause = watch.hook.patience / LOOKS
        watch.look()
        del watch
        time.sleep(pause)
