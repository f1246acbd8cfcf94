"""What tools/train.py and tools/test.py have in common: arguments, and the way to a Runner."""

import argparse
import os

from mmengine.config import Config, DictAction
from mmengine.dist import master_only
from mmengine.hooks import LoggerHook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..engine.amp import suit_amp_to_device
from .freed_memory import keep_freed_memory
from .processes import init_cpu_processes


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that users of OpenMMLab know from every tool."""
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints (./work_dirs/CONFIG_NAME)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override the config, for instance train_dataloader.batch_size=1 '
        'train_cfg.max_epochs=6; lists as key="[a,b]" or key=a,b, without white space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (the shell scripts set it)',
    )
    # torch.distributed.launch passes it; torchrun sets LOCAL_RANK instead
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def prepare_process(local_rank: int | None) -> None:
    """Do what must be done before the first file is read.

    Args:
        local_rank: ``--local_rank``; where it is missing, the launcher has set a variable.
    """
    if local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(local_rank))


def suit_to_machine(cfg: Config) -> None:
    """Change what would not work without a GPU, or slowly.

    Raises:
        ValueError: If that is not possible.
    """
    suit_amp_to_device(cfg)
    init_cpu_processes(cfg)
    keep_freed_memory()


def build_runner(cfg: Config, notes: list[str]) -> Runner:
    """Build the Runner that the config names.

    Args:
        cfg: The config.
        notes: What was found before the start; goes to the log.
    """
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    for hook in runner.hooks:
        # mmengine writes the figures of a test in every process, all into one file
        if isinstance(hook, LoggerHook):
            hook.after_test_epoch = master_only(hook.after_test_epoch)
    for note in notes:
        runner.logger.warning(note)
    return runner
