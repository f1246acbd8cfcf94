"""Several processes on a machine without a GPU."""

import atexit
import ctypes
import datetime
import os
import signal
import sys
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODEL_WRAPPERS
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel

from ..errors import InputError

PR_SET_PDEATHSIG = 1  # of prctl(2)
LAUNCHER_PID = 'TNT_LAUNCHER_PID'  # set by tools/_torchrun.py
# The variables that each launcher sets and mmengine reads
LAUNCHER_VARIABLES = {
    'none': (),
    'pytorch': ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    'mpi': (
        *(f'OMPI_COMM_WORLD_{name}' for name in ('LOCAL_RANK', 'RANK', 'SIZE')),
        'MASTER_ADDR',
    ),
}


def check_launcher(launcher: str) -> None:
    """Check that the launcher that the command line names has started this process.

    Raises:
        ValueError: If it has not.
    """
    missing = [name for name in LAUNCHER_VARIABLES[launcher] if name not in os.environ]
    if missing:
        raise InputError(
            f'--launcher {launcher} is for processes that it has started, but these variables are '
            f'not set: {", ".join(missing)}. Use tools/dist_train.sh, dist_test.sh, slurm_train.sh '
            'or slurm_test.sh, or leave --launcher out'
        )


def end_with_launcher(launcher: str) -> None:
    """Let the system end this process when the launcher that has started it is killed.

    torchrun ends its processes itself, unless it is killed with ``kill -9``. Then they would train
    on without anybody who watches them, and hold the GPUs. PyTorch's data workers look for
    their process every 5 s. Linux only. slurm and MPI have their own means.
    """
    if launcher != 'pytorch' or not sys.platform.startswith('linux'):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    expected = os.environ.get(LAUNCHER_PID)
    if expected is not None and os.getppid() != int(expected):  # it died before that call
        os.kill(os.getpid(), signal.SIGKILL)


def init_cpu_processes(cfg: Config) -> None:
    """Let the Runner work in several processes on the CPU; does nothing where there is a GPU.

    mmengine selects a CUDA device in each process and hands its number to
    ``DistributedDataParallel``. So the process group is made here, which the Runner then uses, and
    the model wrapper gets ``device_ids=None``. ``SyncBN`` becomes ``BN``.

    Raises:
        ValueError: If the processes were started by slurm or MPI: mmengine reads their variables
            only together with a GPU.
    """
    if cfg.launcher == 'none' or get_device() != 'cpu':
        return
    if cfg.launcher != 'pytorch':
        raise InputError(
            f'--launcher {cfg.launcher} needs a GPU in each process, and none is visible. On CPUs '
            'use tools/dist_train.sh or tools/dist_test.sh'
        )
    seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=seconds))
    atexit.register(_end_process_group)
    suit_wrapper_to_cpu(cfg)


def suit_wrapper_to_cpu(cfg: Config) -> None:
    """Let the model be wrapped on the CPU, and replace ``SyncBN`` by ``BN``."""
    wrapper = cfg.get('model_wrapper_cfg') or {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    kind = MODEL_WRAPPERS.get(wrapper.get('type', 'MMDistributedDataParallel')) or object
    device: dict[str, Any] = {}
    if issubclass(kind, DistributedDataParallel):
        device = {'device_ids': None}
    elif issubclass(kind, FullyShardedDataParallel):
        device = {'device_id': torch.device('cpu')}
    cfg.model_wrapper_cfg = {**wrapper, **device}
    _use_plain_batch_norm(cfg.get('model'))


def _end_process_group() -> None:
    """Stop gloo's threads, where an error ends the process."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def end_cpu_processes(status: Any = 0) -> None:
    """End this process here, with an exit status, if it is one of several on the CPU.

    All work is done. Next, PyTorch's objects would be destroyed. That sometimes ends a process with
    "terminate called without an active exception", also after the process group was destroyed.
    """
    if torch.distributed.is_initialized() and get_device() == 'cpu':
        atexit.unregister(_end_process_group)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _use_plain_batch_norm(node: Any) -> None:
    """Replace SyncBN, which PyTorch does not have on CPUs; mmengine does so only in one process."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        for value in node.values():
            _use_plain_batch_norm(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _use_plain_batch_norm(value)
