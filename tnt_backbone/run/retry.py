"""Start again after the memory was used up, with fewer images at a time (``--retry-oom``).

The processes end and start again, so nothing of their memory is left, and all of them start with
the same options: the one that ran out of memory leaves a note in the work folder.
"""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from mmengine.config import Config

from ..engine.safe_file import write_safely
from ..errors import InputError
from .out_of_memory import place_of
from .resume import RESTARTS, STARTED
from .split_batch import divisors

RETRY = 76  # exit status: to be started again; see launcher_agent.py
NOTE = 'out_of_memory_{}.json'  # in the work folder; of each process that ran out of memory
LAUNCHERS = ('none', 'pytorch')


def check_launcher_restarts(launcher: str) -> None:
    """Check that something can start the processes again.

    Raises:
        ValueError: If not.
    """
    if launcher not in LAUNCHERS:
        raise InputError(
            f'--retry-oom starts the processes again, which --launcher {launcher} does not. Use '
            'tools/dist_train.sh on each host, or leave --retry-oom out and pass --split-batch'
        )
    os.environ.setdefault(STARTED, str(time.time_ns()))


def remedy(cfg: Config, error: BaseException) -> dict[str, int]:
    """Return the options with which to try again; empty if none is left.

    Args:
        cfg: The config of the run.
        error: The error that says that no memory was left.
    """
    phase, _ = place_of(error)
    if phase == 'training' and (parts := divisors(cfg)):
        return {'split_batch': cfg.get('split_batch', 1) * parts[0]}
    if phase == 'validation' and (cfg.get('val_dataloader') or {}).get('batch_size', 1) > 1:
        return {'val_batch_size': 1}
    return {}


def noted(cfg: Config) -> dict[str, int]:
    """Return the options that this run has noted before it was started again."""
    if not int(os.environ.get(RESTARTS, 0)):
        return {}
    found: dict[str, int] = {}
    for path in sorted(Path(cfg.work_dir).glob(NOTE.format('*'))):
        if path.stat().st_mtime_ns < int(os.environ.get(STARTED, 0)):  # of an earlier run
            continue
        for key, value in json.loads(path.read_text()).items():
            is_first = key not in found
            found[key] = (
                value if is_first else (max if key == 'split_batch' else min)(value, found[key])
            )
    return found


def start_again(cfg: Config, launcher: str, options: dict[str, int], message: str) -> None:
    """Note the options and start again; this process does not return.

    Args:
        cfg: The config of the run.
        launcher: Of this process; ``'none'`` starts itself again.
        options: Of :func:`remedy`.
        message: What went wrong.
    """
    rank = os.environ.get('RANK', '0')
    path = Path(cfg.work_dir) / NOTE.format(rank)
    write_safely(path, json.dumps({**noted(cfg), **options}).encode())
    words = ', '.join(f'{key}={value}' for key, value in options.items())
    sys.stderr.write(f'Process {rank}: {message}\nThe run starts again with {words}\n')
    sys.stderr.flush()
    if launcher != 'none':
        os._exit(RETRY)  # the others wait for this process, and end with it
    for worker in multiprocessing.active_children():  # data workers would outlive the program
        worker.kill()
        worker.join()
    count = int(os.environ.get(RESTARTS, 0)) + 1
    os.environ.update({RESTARTS: str(count), 'TORCHELASTIC_MAX_RESTARTS': str(count)})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
