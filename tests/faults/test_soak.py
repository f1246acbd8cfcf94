"""Random kills of a training in two processes, one after the other, and what is lost.

Some hours on 2 cores::

    SOAK_KILLS=100 SOAK_FOLDER=/tmp/soak python -m pytest -m soak tests/faults/test_soak.py

SOAK_FOLDER keeps the run and a line per kill (soak.jsonl). The same command goes on after them.
"""

import json
import os
import random
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch

from tests.faults.launched import CONFIG, Launched
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.run.resume import why_not_resumable

KILLS = int(os.environ.get('SOAK_KILLS', '100'))
ENDS_WITHIN = 300  # seconds, also where other programs have the processors
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
    if not run.wait_for(pattern, seconds=7200):  # also at idle priority
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
    home = Path(os.environ.get('SOAK_FOLDER', tmp_path))
    home.mkdir(parents=True, exist_ok=True)
    config, folder, log = tmp_path / 'long.py', home / 'run', home / 'soak.jsonl'
    done = len(log.read_text().splitlines()) if log.exists() else 0
    for kill in range(done, KILLS):
        chance = random.Random(f'{SEED} {kill}')
        config.write_text(CONFIG.format(tiny_config, 1_000_000))
        reached = (saved(folder) or [0])[-1]
        run = Launched(config, home, '--work-dir', 'run', '--resume')
        try:
            note = strike(run, chance)
            status, seconds, alive = run.wait(ENDS_WITHIN)
        except psutil.TimeoutExpired:
            status, seconds, alive = None, ENDS_WITHIN, run.left()
        finally:
            run.end()
        resumed = re.search(r'resumed epoch: 0, iter: (\d+)', run.output())
        resumed = resumed and int(resumed[1])
        there = saved(folder)
        faults = {
            'ended before it was killed': note is None or status == 0,
            'did not end': status is None,
            'wrong status': status != 3 and (note or {}).get('target', '').startswith('data'),
            'processes left': alive,
            'damaged': [n for n in there if why_not_resumable(folder / f'iter_{n}.pth')],
            'not resumed from the newest': resumed is not None and resumed != reached,
            'lost a checkpoint': (there or [0])[-1] < reached,
        }
        faults = [f'{name}: {what}' for name, what in faults.items() if what]
        line = {'kill': kill, **(note or {}), 'status': status, 'seconds': round(seconds, 1)}
        line |= {'resumed': resumed, 'saved': there, 'faults': faults}
        with log.open('a') as file:
            file.write(json.dumps(line) + '\n')
        if faults:
            (home / f'log_of_kill_{kill}').write_text(run.output())

    weights = []
    end = (saved(folder) or [0])[-1] + 8
    for name in ('run', 'whole'):
        config.write_text(CONFIG.format(tiny_config, end))
        run = Launched(config, home, '--work-dir', name, '--resume')
        assert run.launcher.wait() == 0, run.output()[-5000:]
        weights.append(read_tensors(str(home / name / f'iter_{end}.pth')))
    killed, whole = weights
    assert all(torch.equal(killed[key], whole[key]) for key in whole)
    notes = [json.loads(line) for line in log.read_text().splitlines()]
    assert [note for note in notes if note['faults']] == []
