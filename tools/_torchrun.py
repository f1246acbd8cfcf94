"""Starts a Python tool in several processes: torchrun, with what it does not check itself.

usage: _torchrun.py TOOL PROCESSES [ARGUMENTS OF THE TOOL ...]
"""

import importlib
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

MISTAKE = 2  # exit status, see tnt_backbone/cli/common.py
RETRY = 76  # exit status: to be started again with other options, see tnt_backbone/run/retry.py
RESUMABLE = 75  # exit status: ended early on request, see tnt_backbone/engine/stop_on_signal.py
SIGNALS = ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1')  # passed on to the processes
REQUESTS = (signal.SIGTERM, signal.SIGUSR1)  # to finish the step, save and end
SAVE_SECONDS = 600  # for that; schedulers usually give less
THREAD_VARIABLES = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')


def check_processes(processes: int, gpus: int) -> None:
    """Say what the processes run on; more of them than GPUs would share one and fail in NCCL.

    Raises:
        SystemExit: If there are too few GPUs.
    """
    if gpus == 0:
        cores = len(os.sched_getaffinity(0))
        threads = str(max(1, cores // processes))
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, threads)
        print(
            f'No GPU here: running on the CPU ({cores} cores) with {processes} processes (gloo), '
            f'threads of each: {os.environ[THREAD_VARIABLES[0]]}',
            file=sys.stderr,
            flush=True,
        )
    elif processes > gpus:
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        sys.exit(
            f'ERROR: {processes} processes were asked for, but this machine has {gpus} '
            f'GPU{"s" if gpus > 1 else ""}'
            + (f' (CUDA_VISIBLE_DEVICES={visible})' if visible else '')
            + f'. Ask for at most {gpus}; several machines: NNODES, NODE_RANK, MASTER_ADDR, PORT'
        )


def rendezvous() -> list[str]:
    """How the processes find each other, from NNODES, NODE_RANK, MASTER_ADDR and PORT."""
    nodes = int(os.environ.get('NNODES', 1))
    if nodes == 1 and 'PORT' not in os.environ:
        return ['--standalone', '--local-addr=127.0.0.1']  # takes a free port
    if nodes > 1 and not {'NODE_RANK', 'MASTER_ADDR'} <= set(os.environ):
        sys.exit(
            f'ERROR: NNODES={nodes} needs NODE_RANK (0 to {nodes - 1}, another one on each machine)'
            ' and MASTER_ADDR (name or address of machine 0, the same on all)'
        )
    return [
        f'--nnodes={nodes}',
        f'--node-rank={os.environ.get("NODE_RANK", 0)}',
        f'--master-addr={os.environ.get("MASTER_ADDR", "127.0.0.1")}',
        f'--master-port={os.environ.get("PORT", 29500)}',
    ]


def max_restarts() -> int:
    """How often the processes are started again after one has failed, from MAX_RESTARTS."""
    text = os.environ.get('MAX_RESTARTS', '0')
    if not text.isdecimal():
        print(f'ERROR: MAX_RESTARTS={text!r} must be a number, 0 or more', file=sys.stderr)
        sys.exit(MISTAKE)
    return int(text)


def adapt_agent() -> dict:
    """Teach torchrun which failures are final, and to wait while checkpoints are saved.

    Returns:
        A dict, for the exit status of each process that was asked to end.
    """
    from torch.distributed.launcher import api

    class Agent(api.LocalElasticAgent):
        ended: ClassVar[dict] = {}  # exit status by rank, after a request

        def _monitor_workers(self, worker_group):
            result = super()._monitor_workers(worker_group)
            codes = {failure.exitcode for failure in result.failures.values()}
            if RETRY in codes:  # with other options, so it counts for itself
                self._remaining_restarts += 1
                worker_group.spec.max_restarts += 1
            # a mistake would be made again; who asked a process to end wants it to stay ended
            elif codes & {MISTAKE, RESUMABLE}:
                self._remaining_restarts = 0
            return result

        def _shutdown(self, death_sig=signal.SIGTERM):
            if self._pcontext and death_sig in REQUESTS:
                self._pcontext.close(death_sig, SAVE_SECONDS)  # torch would wait for 30 s
                for rank, handler in self._pcontext.subprocess_handlers.items():
                    self.ended[rank] = handler.proc.returncode
            super()._shutdown(death_sig)

    api.LocalElasticAgent = Agent
    return Agent.ended


def describe(failures: dict) -> tuple[str, int]:
    """Say how the processes ended, the cause first, and return the exit status for it.

    Args:
        failures: torch's, by rank.
    """

    def order(rank: int) -> tuple[bool, bool, int]:
        exitcode = failures[rank].exitcode
        # torchrun ends the others with SIGTERM, and with SIGKILL if they live on for 30 s
        late = failures[rank].timestamp > first + 1
        return late or exitcode == -signal.SIGTERM, exitcode >= 0, rank

    first = min(failure.timestamp for failure in failures.values())
    ranks = sorted(failures, key=order)
    parts = []
    for rank in ranks:
        exitcode = failures[rank].exitcode
        if exitcode >= 0:
            parts.append(f'process {rank} failed with exit status {exitcode}; its message is above')
        else:
            name = signal.Signals(-exitcode).name
            memory = ' (the system does that when memory is full; see dmesg)'
            parts.append(
                f'process {rank} was killed by {name}{memory if name == "SIGKILL" else ""}'
            )
    exitcode = failures[ranks[0]].exitcode
    return '. '.join(parts), exitcode if exitcode > 0 else 128 - exitcode


def main() -> None:
    """Start the processes; exit with the status of the first that fails."""
    tool, processes, *arguments = sys.argv[1:]
    # a wrong option or a missing file is one message, before anything slow is imported
    importlib.import_module(f'tnt_backbone.cli.{Path(tool).stem}').read_command_line(arguments)
    restarts = max_restarts()
    import torch

    check_processes(int(processes), torch.cuda.device_count())
    if processes == '1' and os.environ.get('NNODES', '1') == '1' and not restarts:
        os.execv(sys.executable, [sys.executable, tool, *arguments])  # nothing to synchronise
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # a store for each start: torch 2.11 would leave the addresses of processes that are gone in the
    # one of its agent, and those that start again would wait for them
    os.environ.setdefault('TORCH_DISABLE_SHARE_RDZV_TCP_STORE', '1')
    ended = adapt_agent()
    os.environ['TNT_LAUNCHER_PID'] = str(os.getpid())  # read in tnt_backbone/run/processes.py
    os.environ['TNT_RUN_STARTED'] = str(time.time_ns())  # read in tnt_backbone/run/resume.py
    options = [
        *rendezvous(),
        f'--nproc-per-node={processes}',
        f'--max-restarts={restarts}',
        f'--signals-to-handle={",".join(SIGNALS)}',
    ]
    try:
        run.main([*options, tool, '--launcher=pytorch', *arguments])
    except SignalException as error:  # torchrun has passed it on, and waited for the processes
        if error.sigval not in REQUESTS:
            sys.exit(128 + error.sigval)
        # a process that was still starting had nothing to save
        expected = (0, RESUMABLE, -error.sigval)
        failures = {
            rank: SimpleNamespace(exitcode=code, timestamp=0)
            for rank, code in ended.items()
            if code not in expected
        }
        text, status = describe(failures) if failures else ('', RESUMABLE)
        if text:
            print(f'{Path(tool).name}, asked to end: {text}', file=sys.stderr)
        sys.exit(status)
    except ChildFailedError as error:  # torchrun's own traceback would bury the message
        text, status = describe(error.failures)
        if status != RESUMABLE:
            print(f'{Path(tool).name}, {processes} processes: {text}', file=sys.stderr)
        sys.exit(status)


if __name__ == '__main__':
    main()
