"""Trainings in 1, 2 and 4 processes equal one process that averages the gradients of their shards.

The reference is plain PyTorch (``training.reference``): a loop over the shards of each step, AdamW,
clipped gradients, and a moving average, without mmengine's Runner, DDP or our hooks.
"""

import itertools
import sys

import pytest

from tests.parallel import training
from tests.parallel.tiny_models import ARCHS, LIBRARIES

STEPS = 20
VARIANTS = {
    'plain': {},
    'with_cp': {'with_cp': True},
    'bf16': {'bf16': True},
    'accumulation': {'accumulate': 2},
    'EMA': {'ema': True},
    'FSDP2': {'wrapper': {'type': 'FSDP2'}, 'with_cp': True, 'accumulate': 2, 'ema': True},
}
# Relative to the largest number. In bf16, a sum in another order may round to the next number,
# which is 2^-8 away.
TOLERANCE = {'bf16': {'loss': 1e-2, 'gradients': 0.1, 'weights': 1e-2}}
EXACT = {'loss': 1e-5, 'gradients': 1e-3, 'weights': 1e-4, 'average': 1e-4}


def jobs(variants, world, steps):
    """Return the jobs of one number of processes."""
    return [
        {'family': family, 'library': library, 'steps': steps, 'variant': name, **VARIANTS[name]}
        for library, family, name in itertools.product(LIBRARIES, ARCHS, variants)
        if world > 1 or name != 'FSDP2'
    ]


def check(job, world, found):
    """Compare one job; return the differences."""
    differences = training.largest_differences(job, world, found)
    allowed = TOLERANCE.get(job['variant'], EXACT)
    too_large = {name: found for name, found in differences.items() if found > allowed[name]}
    assert not too_large, (job, too_large)
    return differences


@pytest.mark.slow
@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('world', [1, 2, 4])
def test_all_families_and_libraries(world, variant, tmp_path):
    """``python -m pytest -m slow -s tests/parallel/test_equality.py`` prints the differences."""
    todo = jobs([variant], world, STEPS)
    for job, *found in zip(todo, *training.run(world, tmp_path, todo), strict=True):
        row = [f'{world} processes', variant, job['library'], job['family']]
        row += [f'{name} {value:.1e}' for name, value in check(job, world, found).items()]
        sys.stdout.write(' | '.join(row) + '\n')
