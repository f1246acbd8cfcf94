"""What the studies of ``docs/evidence.md`` share: resumable runs, one row of a CSV a finished run.

A run that was interrupted goes on from its last checkpoint, and a run that has a row is not
repeated. So a study is continued by its own command.
"""

import argparse
import copy
import csv
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

ROOT = Path(__file__).parents[1]
LOG_EVERY = 10  # iterations a line of a training's log

Key = tuple[str, ...]


class Rows:
    """The rows of a CSV file, added one by one.

    Args:
        path: The file; it is made with the first row.
        columns: All columns, of which the first ``keys`` tell one run from another.
        keys: How many they are.
    """

    def __init__(self, path: Path, columns: Sequence[str], keys: int) -> None:
        self.path, self.columns, self.keys = path, tuple(columns), keys

    def read(self) -> list[dict[str, str]]:
        """Return all rows; none if there is no file yet."""
        if not self.path.exists():
            return []
        with self.path.open(newline='') as file:
            return list(csv.DictReader(file))

    def done(self) -> dict[Key, dict[str, str]]:
        """Return the rows by the columns that tell one run from another."""
        return {tuple(row[name] for name in self.columns[: self.keys]): row for row in self.read()}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row and write it to the disk."""
        with self.path.open('a', newline='') as file:
            writer = csv.DictWriter(file, self.columns, lineterminator='\n')
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a study's folder, so that no second command writes to the same runs.

    The tools that ``run_tool`` starts hold it too: if this process is killed, its trainings may
    go on without it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f'{folder} is in use by another command. Wait for it, or pass another --out')
        os.set_inheritable(lock.fileno(), True)
        yield


def require_data(
    parser: argparse.ArgumentParser, option: str, folder: Path, parts: Iterable[str]
) -> None:
    """End with a message, before the first run, if a part of the data is missing."""
    missing = [part for part in parts if not (folder / part).exists()]
    if missing:
        parser.error(
            f'{option} {folder} lacks {", ".join(missing)}. Pass the folder that holds '
            f'{"them" if len(missing) > 1 else "it"}'
        )


def merge(cfg: 'Config', changes: dict[str, Any]) -> 'Config':
    """Return a config with changes, as a config that names it in ``_base_`` would have them."""
    from mmengine.config import Config

    return Config(Config._merge_a_into_b(copy.deepcopy(changes), cfg._cfg_dict.to_dict()))


def run_tool(name: str, *arguments: object, log: Path) -> str:
    """Run ``tools/<name>.py`` with one thread, add its output to a file, and return it.

    Raises:
        subprocess.CalledProcessError: If it ends with another status than 0.
    """
    command = [sys.executable, ROOT / 'tools' / f'{name}.py', *arguments]
    start = log.stat().st_size if log.exists() else 0
    with log.open('a') as output:
        subprocess.run(
            list(map(str, command)),
            check=True,
            close_fds=False,  # of only_one
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                'OMP_NUM_THREADS': '1',
                'PYTHONPATH': os.pathsep.join(  # what a config of a study imports
                    filter(None, (str(ROOT / 'benchmarks'), os.environ.get('PYTHONPATH')))
                ),
            },
        )
    return log.read_text()[start:]


def train(config: Path, *options: object) -> tuple[Path, float]:
    """Train a config in its folder, from the last checkpoint if there is one.

    Returns:
        The last checkpoint, and the minutes that the iterations took on this machine, those
        repeated after an interruption among them.
    """
    folder = config.parent
    trained = folder / 'trained'  # the training is over, and the test was interrupted
    if not trained.exists():
        log = folder / 'output.txt'
        run_tool('train', config, '--work-dir', folder, '--resume', *options, log=log)
        trained.write_text((folder / 'last_checkpoint').read_text().strip())
    return Path(trained.read_text()), minutes(folder)


def minutes(folder: Path) -> float:
    """Return the minutes of all iterations in the logs of a training, which skip none."""
    seconds = 0.0
    for scalars in folder.glob('*/vis_data/scalars.json'):
        last = None
        for line in scalars.read_text().splitlines():
            entry = json.loads(line)
            if 'time' in entry and 'loss' in entry:
                step = entry['step']
                seconds += entry['time'] * (LOG_EVERY if last is None else step - last)
                last = step
    return seconds / 60


def losses(folder: Path) -> tuple[float, float]:
    """Return the first and the last loss in the logs of a training."""
    found: dict[int, float] = {}
    for scalars in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in scalars.read_text().splitlines():
            entry = json.loads(line)
            if 'loss' in entry:
                found[entry['step']] = entry['loss']
    return found[min(found)], found[max(found)]


def metric(output: str, name: str) -> float:
    """Return a metric of a test from what ``tools/test.py`` printed.

    Raises:
        LookupError: If it is not there.
    """
    found = re.findall(rf'(?:^|\s){re.escape(name)}: (-?[\d.]+|nan)', output)
    if not found:
        raise LookupError(f'{name} is not in the output of the test')
    return float(found[-1])


def run_all(
    next_jobs: Callable[[], list[Key]], run: Callable[[Key], dict[str, Any]], rows: Rows, jobs: int
) -> list[Key]:
    """Run what is missing, ``jobs`` at a time, and add a row for each.

    Args:
        next_jobs: Returns what is missing now, the most urgent first. It is asked again after each
            run, because the rows so far may decide what comes next.
        run: Does a run and returns its row.
        rows: Where the rows go.
        jobs: Runs at the same time.

    Returns:
        The runs that failed; the others went on.
    """
    failed: list[Key] = []
    running: dict[Future[dict[str, Any]], Key] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            taken = {*running.values(), *failed}
            for key in [key for key in next_jobs() if key not in taken][: jobs - len(running)]:
                print('start', *key, flush=True)
                running[pool.submit(run, key)] = key
            if not running:
                return failed
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key = running.pop(future)
                try:
                    rows.add(future.result())
                    print('done', *key, flush=True)
                except (subprocess.CalledProcessError, LookupError, OSError) as error:
                    failed.append(key)
                    print('failed', *key, error, file=sys.stderr, flush=True)
