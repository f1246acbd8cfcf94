"""Find the rank of this process in the variables that launchers set."""

import os

# Where each launcher says which process of its machine this one is
LOCAL_RANKS = {
    'pytorch': 'LOCAL_RANK',
    'slurm': 'SLURM_LOCALID',
    'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK',
}


WORLD_SIZES = {
    'pytorch': 'WORLD_SIZE',
    'slurm': 'SLURM_NTASKS',
    'mpi': 'OMPI_COMM_WORLD_SIZE',
}


def world_size(launcher: str) -> int:
    """Return the number of processes of the run."""
    return int(os.environ.get(WORLD_SIZES.get(launcher, ''), 1))


def local_rank(launcher: str) -> str:
    """Return the number of this process among those of its machine."""
    return os.environ.get(LOCAL_RANKS.get(launcher, ''), '0')


def is_first_on_node(launcher: str) -> bool:
    """Return whether this process is the one of its machine that checks files for the others.

    They wait for it in the Runner's first collective operation.

    Args:
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
    """
    return local_rank(launcher) == '0'
