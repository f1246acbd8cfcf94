"""Starts a Python tool in several processes: torchrun, with what it does not check itself.

usage: _torchrun.py TOOL PROCESSES [ARGUMENTS OF THE TOOL ...]
"""

import importlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

MISTAKE = 2  # exit status, see tnt_backbone/cli/common.py
RESUMABLE = 75  # exit status: ended early on request, see tnt_backbone/engine/stop_on_signal.py
SIGNALS = ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1')  # passed on to the processes
THREAD_VARIABLES = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')


def stop(text: str) -> NoReturn:
    """Say what is wrong with the command, and end."""
    print(f'ERROR: {text}', file=sys.stderr)
    sys.exit(MISTAKE)


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


def hosts() -> tuple[int, int]:
    """The least and the largest number of machines, from NNODES."""
    text = os.environ.get('NNODES', '1')
    found = re.fullmatch(r'([1-9]\d*)(?::([1-9]\d*))?', text)
    least, most = (int(number or found[1]) for number in found.groups()) if found else (1, 0)
    if least > most:
        stop(f'NNODES={text!r} must be a number of machines, or MIN:MAX such as 1:4')
    return least, most


def store_host() -> tuple[str, int]:
    """The machine that all others ask, and its port."""
    return os.environ.get('MASTER_ADDR', '127.0.0.1'), int(os.environ.get('PORT', 29500))


def is_elastic() -> bool:
    """Whether machines may come and go."""
    return ':' in os.environ.get('NNODES', '')


def rendezvous() -> list[str]:
    """How the processes find each other, from NNODES, NODE_RANK, MASTER_ADDR and PORT."""
    least, most = hosts()
    host, port = store_host()
    where, rank = os.environ.get('MASTER_ADDR'), os.environ.get('NODE_RANK')
    if is_elastic():
        if not where:
            stop(f'NNODES={least}:{most} needs MASTER_ADDR, the machine that all others ask')
        own = os.environ.get('LOCAL_ADDR')
        return [
            f'--nnodes={least}:{most}',
            '--rdzv-backend=c10d',
            f'--rdzv-endpoint={host}:{port}',
            '--rdzv-id=tnt',
            *([f'--rdzv-conf=is_host={int(rank == "0")}'] if rank else []),
            *([f'--local-addr={own}'] if own else []),
        ]
    if most == 1 and 'PORT' not in os.environ:
        return ['--standalone', '--local-addr=127.0.0.1']  # takes a free port
    if most > 1 and not (rank and where):
        sys.exit(
            f'ERROR: NNODES={most} needs NODE_RANK (0 to {most - 1}, another one on each machine)'
            ' and MASTER_ADDR (name or address of machine 0, the same on all)'
        )
    return [
        f'--nnodes={most}',
        f'--node-rank={rank or 0}',
        f'--master-addr={host}',
        f'--master-port={port}',
    ]


def elastic_options(tool: str, processes: int, arguments: list[str]) -> list[str]:
    """Options of a training whose machines come and go: the same batch on fewer of them."""
    if not is_elastic():
        return []
    if tool != 'train.py':
        stop(f'NNODES={os.environ["NNODES"]} is for training. Use NNODES={hosts()[1]} here')
    if '--resume' not in arguments:
        stop(
            f'NNODES={os.environ["NNODES"]} needs --resume: when a machine comes or goes, all '
            'processes start again from the newest checkpoint of the work folder'
        )
    if any(argument.split('=')[0] in ('--batch-of', '--split-batch') for argument in arguments):
        return []
    return [f'--batch-of={hosts()[1] * processes}']


def max_restarts() -> int:
    """How often the processes are started again after one has failed, from MAX_RESTARTS."""
    text = os.environ.get('MAX_RESTARTS', '0')
    if not text.isdecimal():
        stop(f'MAX_RESTARTS={text!r} must be a number, 0 or more')
    return int(text)


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
    restarts, where = max_restarts(), rendezvous()
    arguments += elastic_options(Path(tool).name, int(processes), arguments)
    import torch

    check_processes(int(processes), torch.cuda.device_count())
    if processes == '1' and os.environ.get('NNODES', '1') == '1' and not restarts:
        os.execv(sys.executable, [sys.executable, tool, *arguments])  # nothing to synchronise
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import (
        RendezvousClosedError,
        RendezvousConnectionError,
    )

    from tnt_backbone.run import launcher_agent as agent

    # a store for each start: torch 2.11 would leave the addresses of processes that are gone in the
    # one of its agent, and those that start again would wait for them
    os.environ.setdefault('TORCH_DISABLE_SHARE_RDZV_TCP_STORE', '1')
    agent.use_agent(is_elastic=is_elastic())
    if is_elastic():
        agent.watch_host(*store_host())
    os.environ['TNT_LAUNCHER_PID'] = str(os.getpid())  # read in tnt_backbone/run/processes.py
    os.environ['TNT_RUN_STARTED'] = str(time.time_ns())  # read in tnt_backbone/run/resume.py
    options = [
        *where,
        f'--nproc-per-node={processes}',
        f'--max-restarts={restarts}',
        f'--signals-to-handle={",".join(SIGNALS)}',
    ]
    try:
        run.main([*options, tool, '--launcher=pytorch', *arguments])
    except SignalException as error:  # torchrun has passed it on, and waited for the processes
        if error.sigval not in agent.REQUESTS:
            sys.exit(128 + error.sigval)
        # a process that was still starting had nothing to save
        expected = (0, RESUMABLE, -error.sigval)
        failures = {
            rank: SimpleNamespace(exitcode=code, timestamp=0)
            for rank, code in agent.Agent.ended.items()
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
    except RendezvousConnectionError:
        if not is_elastic():
            raise
        agent.take_part_anew(*store_host())
    except RendezvousClosedError:
        print('The training was ended on another host; its message is there', file=sys.stderr)
        sys.exit(RESUMABLE)


if __name__ == '__main__':
    main()
