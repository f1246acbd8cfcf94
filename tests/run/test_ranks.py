"""Which process is which."""

import pytest

from tnt_backbone.run.ranks import LOCAL_RANKS, is_first_on_node


@pytest.mark.parametrize(
    ('launcher', 'variables', 'first'),
    [
        ('none', {}, True),
        ('pytorch', {'LOCAL_RANK': '0', 'RANK': '4'}, True),
        ('pytorch', {'LOCAL_RANK': '1', 'SLURM_LOCALID': '0'}, False),  # torchrun inside of srun
        ('slurm', {'SLURM_LOCALID': '0'}, True),
        ('slurm', {'SLURM_LOCALID': '3', 'LOCAL_RANK': '0'}, False),
        ('mpi', {'OMPI_COMM_WORLD_LOCAL_RANK': '2'}, False),
    ],
)
def test_first_process_of_a_machine(monkeypatch, launcher, variables, first):
    for name in LOCAL_RANKS.values():
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first_on_node(launcher) is first
