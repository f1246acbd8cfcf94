"""Random kills of a training in two processes, one after the other, and what is lost.

SOAK_KILLS=100 python -m pytest -m soak tests/faults/test_soak.py -s   # some hours on 2 cores
"""

import json
import os
import random
import re
import signal
import time

import pytest
import torch

from tests.faults.launched import CONFIG, ENDS_WITHIN, Launched
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.run.resume import why_not_resumable

KILLS = int(os.environ.get('SOAK_KILLS', '100'))
SEED = int(os.environ.get('SOAK_SEED', '0'))
TARGETS = ['launcher', 'process 0', 'process 1', 'data worker 0', 'data worker 1']
# After what a run has written, and up to how many seconds later. Eight iterations have two saves
# and an evaluation.
MOMENTS = {
    'start': (r'', 20.0),
    'step': (r'Iter\(train\)', 6.0),
    'save': (r'Saving checkpoint at', 0.05),
    'evaluation': (r'Iter\(val\)|Evaluate annotation', 0.5),
}


def saved(folder):
    """Return the iterations of the checkpoints in a folder."""
    return sorted(int(path.stem.split('_')[1]) for path in folder.glob('iter_*.pth'))


def strike(run, chance):
    """Kill a process of a run at some moment; return what was done, or None if it ended first."""
    moment = chance.choice(list(MOMENTS))
    pattern, seconds = MOMENTS[moment]
    if not run.wait_for(pattern):
        return None
    time.sleep(chance.uniform(0, seconds))
    processes = run.processes()
    target = chance.choice([name for name in TARGETS if name in processes])
    number = signal.SIGKILL
    if not target.startswith('data') and chance.random() < 0.2:
        number = chance.choice([signal.SIGTERM, signal.SIGUSR1])
    processes[target].send_signal(number)
    return {'moment': moment, 'target': target, 'signal': number.name}


@pytest.mark.soak
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_random_kills_lose_only_steps_after_the_last_checkpoint(tiny_config, tmp_path):
    chance = random.Random(SEED)
    config = tmp_path / 'long.py'
    folder = tmp_path / 'run'
    notes = (tmp_path / 'soak.jsonl').open('a')
    reached, kills = 0, 0
    while kills < KILLS:
        config.write_text(CONFIG.format(tiny_config, 1_000_000))
        run = Launched(config, tmp_path, '--work-dir', 'run', '--resume')
        try:
            note = strike(run, chance)
            assert note is not None, run.output()[-5000:]
            status, seconds, alive = run.wait(ENDS_WITHIN)
        finally:
            run.end()
        kills += 1
        resumed = re.search(r'resumed epoch: 0, iter: (\d+)', run.output())
        there = saved(folder) if folder.exists() else []
        damaged = [n for n in there if why_not_resumable(folder / f'iter_{n}.pth') is not None]
        notes.write(
            json.dumps(
                {
                    'kill': kills,
                    **note,
                    'status': status,
                    'seconds': round(seconds, 1),
                    'resumed': resumed and int(resumed[1]),
                    'saved': there,
                }
            )
            + '\n'
        )
        notes.flush()
        assert status != 0
        assert alive == []
        assert damaged == []
        assert resumed is None or int(resumed[1]) == reached  # the newest, every time
        assert not there or there[-1] >= reached
        reached = there[-1] if there else 0

    weights = []
    end = reached + 8
    for name in ('run', 'whole'):
        config.write_text(CONFIG.format(tiny_config, end))
        run = Launched(config, tmp_path, '--work-dir', name, '--resume')
        assert run.launcher.wait() == 0, run.output()[-5000:]
        weights.append(read_tensors(str(tmp_path / name / f'iter_{end}.pth')))
    killed, whole = weights
    assert all(torch.equal(killed[key], whole[key]) for key in whole)
