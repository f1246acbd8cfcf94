"""Starts a Python tool in several processes: torchrun, with what it does not check itself.

usage: _torchrun.py TOOL PROCESSES [ARGUMENTS OF THE TOOL ...]
"""

import importlib
import os
import signal
import sys
from pathlib import Path

RESUMABLE = 75  # exit status: ended early on request, see tnt_backbone/engine/stop_on_signal.py
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


def main() -> None:
    """Start the processes; exit with the status of the first that fails."""
    tool, processes, *arguments = sys.argv[1:]
    # a wrong option or a missing file is one message, before anything slow is imported
    importlib.import_module(f'tnt_backbone.cli.{Path(tool).stem}').read_command_line(arguments)
    import torch

    check_processes(int(processes), torch.cuda.device_count())
    if processes == '1' and os.environ.get('NNODES', '1') == '1':
        os.execv(sys.executable, [sys.executable, tool, *arguments])  # nothing to synchronise
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(
            [*rendezvous(), f'--nproc-per-node={processes}', tool, '--launcher=pytorch', *arguments]
        )
    except SignalException as error:  # torchrun has passed it on, and waited for the processes
        sys.exit(RESUMABLE if error.sigval == signal.SIGTERM else 128 + error.sigval)
    except ChildFailedError as error:  # torchrun's own traceback would bury the message
        rank, failure = error.get_first_failure()
        if failure.exitcode == RESUMABLE:
            sys.exit(RESUMABLE)
        print(
            f'{Path(tool).name}: process {rank} of {processes} failed with exit status '
            f'{failure.exitcode}; its message stands above',
            file=sys.stderr,
        )
        sys.exit(failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode)


if __name__ == '__main__':
    main()
