"""Find the place of this process in the variables that launchers set."""

import os

# Where each launcher says which process of its machine this one is
LOCAL_RANKS = {
    'pytorch': 'LOCAL_RANK',
    'slurm': 'SLURM_LOCALID',
    'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK',
}
# Which one of all machines it is
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
# How many there are on all machines
WORLD_SIZES = {
    'pytorch': 'WORLD_SIZE',
    'slurm': 'SLURM_NTASKS',
    'mpi': 'OMPI_COMM_WORLD_SIZE',
}


def is_first(launcher: str) -> bool:
    """Return whether this process is the one whose weights all others get before the first step.

    Args:
        launcher: See :func:`is_first_on_node`.
    """
    return os.environ.get(RANKS.get(launcher, ''), '0') == '0'


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
