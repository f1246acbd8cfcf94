"""torchrun's agent: what starts the processes of one host, watches them, and starts them again.

It relies on names of torch that are not public; ``tests/test_private_names.py`` lists them.
"""

import os
import signal
import socket
import sys
import time
from threading import Thread
from typing import Any, ClassVar

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerState
from torch.distributed.elastic.rendezvous import RendezvousConnectionError
from torch.distributed.launcher import api

MISTAKE = 2  # exit status, see cli/common.py
RESUMABLE = 75  # exit status: ended early on request, see engine/stop_on_signal.py
RETRY = 76  # exit status: to be started again with other options, see retry.py
REQUESTS = (signal.SIGTERM, signal.SIGUSR1)  # to finish the step, save and end
SAVE_SECONDS = 600  # for that; schedulers usually give less
HOST_SECONDS = 30  # until a host that is gone is known as such: torch asks every 5 s, three times
BACK_SECONDS = 600  # in which the host of the rendezvous may come back


class Agent(api.LocalElasticAgent):
    """Knows which failures are final, waits while checkpoints are saved, and sees hosts go.

    If hosts may come and go (``NNODES=MIN:MAX``), torch starts the processes again when a host
    comes. When one goes, it waits until a collective operation of the others fails, 30 minutes by
    default. Here they start again after about 20 s.
    """

    is_elastic: ClassVar[bool] = False
    ended: ClassVar[dict[int, int]] = {}  # exit status by rank, after a request
    last: ClassVar['Agent | None'] = None  # a process has one
    _pcontext: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Agent.last = self

    def _invoke_run(self, *args: Any, **kwargs: Any) -> RunResult:
        try:
            return super()._invoke_run(*args, **kwargs)
        except RendezvousConnectionError:
            self.kill()  # they wait for hosts that cannot be reached, and would not save
            raise

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result = super()._monitor_workers(worker_group)
        codes = {failure.exitcode for failure in result.failures.values()}
        if self.is_elastic and MISTAKE not in codes:
            has_failed = result.state in (WorkerState.FAILED, WorkerState.UNHEALTHY)
            try:
                is_free = self._hosts_have_changed(worker_group, has_failed)
            except RendezvousConnectionError:
                if RESUMABLE not in codes:
                    raise
                is_free = False  # the host of the rendezvous was asked to end, and has
            if is_free:
                self.kill()
                self._remaining_restarts += 1  # which this restart takes: it is no failure
                return RunResult(state=WorkerState.UNHEALTHY)
        if RETRY in codes:  # with other options, so it counts for itself
            self._remaining_restarts += 1
            worker_group.spec.max_restarts += 1
        # a mistake would be made again; who asked a process to end wants it to stay ended
        elif codes & {MISTAKE, RESUMABLE}:
            self._remaining_restarts = 0
        return result

    def _hosts_have_changed(self, worker_group: WorkerGroup, has_failed: bool) -> bool:
        """Return whether a host has gone, or, if processes have failed, whether one has come.

        Processes fail because those of another host are gone. That is known a little later.
        """
        handler: Any = worker_group.spec.rdzv_handler
        expected = worker_group.group_world_size
        end = time.monotonic() + (HOST_SECONDS if has_failed else 0)
        while True:
            coming = handler.num_nodes_waiting()  # also learns who is there
            there = len(handler._state_holder.state.participants)
            if gone := (expected or 0) - there:
                say(
                    f'{gone} of {expected} hosts cannot be reached any more. '
                    'The training goes on with the rest, from the newest checkpoint'
                )
                return True
            if has_failed and coming:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(1)

    def kill(self) -> None:
        """End the processes of this host at once."""
        if self._pcontext:
            self._pcontext.close(signal.SIGKILL)

    def _shutdown(self, death_sig: signal.Signals = signal.SIGTERM, **options: Any) -> None:
        if self._pcontext and death_sig in REQUESTS:
            self._pcontext.close(death_sig, SAVE_SECONDS)  # torch would wait for 30 s
            for rank, handler in self._pcontext.subprocess_handlers.items():
                self.ended[rank] = handler.proc.returncode
        super()._shutdown(death_sig, **options)


def use_agent(*, is_elastic: bool) -> None:
    """Let torchrun work with this agent."""
    Agent.is_elastic = is_elastic
    api.LocalElasticAgent = Agent  # type: ignore[misc]


def watch_host(host: str, port: int) -> None:
    """Look for the host of the rendezvous all the time; take part anew after it was away.

    A store of torch that is cut off waits until the system gives the connection up, often for 15
    minutes. A thread of its own does not.
    """

    def watch() -> None:
        last = time.monotonic()
        while True:
            if _can_reach(host, port):
                last = time.monotonic()
            elif time.monotonic() - last > HOST_SECONDS:
                take_part_anew(host, port)
            time.sleep(5)

    Thread(target=watch, daemon=True).start()


def take_part_anew(host: str, port: int) -> None:
    """End the processes of this host, wait until the other can be reached, and start again.

    The processes wait for hosts that cannot be reached, so they could not save. A new start of this
    process is necessary because torch keeps connections that are broken.
    """
    if Agent.last:
        Agent.last.kill()
    say(f'{host}:{port} cannot be reached. Waiting {BACK_SECONDS} s for it, to take part again')
    end = time.monotonic() + BACK_SECONDS
    while time.monotonic() < end:
        if _can_reach(host, port):
            say(f'{host}:{port} is there again')
            os.execv(sys.executable, sys.orig_argv)
        time.sleep(1)
    say(f'{host}:{port} did not come back. Start this host again when it is there')
    os._exit(RESUMABLE)


def _can_reach(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def say(text: str) -> None:
    """Write a line for the user."""
    sys.stderr.write(f'{text}\n')
    sys.stderr.flush()
