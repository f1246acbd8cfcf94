"""A training in two processes with a data worker each, and its processes by what they do."""

import contextlib
import os
import re
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LAUNCHER_PID = 'TNT_LAUNCHER_PID'  # set by tools/_torchrun.py, inherited by all its processes
# the same on one host and on several: another number adds sums in another order
THREADS = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
ENDS_WITHIN = 60  # seconds, for all processes of a run after one was killed

# Over a tiny config: iterations, a checkpoint every four, an evaluation every eight, and what draws
# random numbers in the network and in the data workers.
CONFIG = """
_base_ = ['{}']
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters={}, val_interval=8)
train_dataloader = dict(num_workers=1, persistent_workers=True,
                        sampler=dict(_delete_=True, type='InfiniteSampler'))
model = dict(backbone=dict(drop_rate=0.1, drop_path_rate=0.2))
train_dataloader['dataset'] = dict(pipeline=[
    dict(type='LoadImageOrSkip'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
])
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
"""


class Launched:
    """A run of ``dist_train.sh`` with two processes on CPUs, or its part on a host."""

    def __init__(self, config, folder, *arguments, processes=2, inside=(), log='log', **variables):
        """Start it; ``inside`` begins a command on a host (:class:`tests.faults.hosts.Hosts`)."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(('NNODES', 'PORT'))}
        self.log = Path(folder) / log
        self.before = len(self.text())
        script = str(ROOT / 'tools/dist_train.sh')
        command = [*inside, 'bash', script, str(config), str(processes), *arguments]
        with self.log.open('a') as log:
            # setpriv: it ends with the test, also when the test is killed
            self.launcher = psutil.Popen(
                ['setpriv', '--pdeathsig', 'KILL', *command],
                cwd=folder,
                env={**clean, **THREADS, 'PYTHON': sys.executable, **variables},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.seen = {}

    def text(self):
        return self.log.read_text(errors='replace') if self.log.exists() else ''

    def output(self):
        """What this run has written."""
        return self.text()[self.before :]

    def wait_for(self, pattern, seconds=600):
        """Wait until the run writes something; return whether it did before it ended."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.output()):
            self.processes()
            if self.launcher.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def processes(self):
        """Return the processes by their names: launcher, process 0, data worker 0, and so on."""
        found = {'launcher': self.launcher}
        try:
            for process in self.launcher.children():
                rank = process.environ().get('RANK')
                found[f'process {rank}'] = process
                for worker in process.children():
                    found[f'data worker {rank}'] = worker
        except psutil.Error:
            pass
        self.seen.update({process.pid: process for process in found.values()})
        return found

    def wait(self, seconds=ENDS_WITHIN):
        """Wait for the end; return the exit status, the seconds, and what is still alive."""
        start = time.monotonic()
        status = self.launcher.wait(seconds)
        while (alive := self.left()) and time.monotonic() < start + seconds:
            time.sleep(0.1)
        return status, time.monotonic() - start, alive

    def left(self):
        """Return the processes that the launcher or its processes have started and that live."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(LAUNCHER_PID) != str(self.launcher.pid):
                    continue
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def end(self):
        """End what is left, for instance after a failed test."""
        self.processes()
        for process in self.seen.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
