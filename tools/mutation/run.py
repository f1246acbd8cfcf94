# /// script
# requires-python = ">=3.11"
# dependencies = ["cosmic-ray==8.7.0"]
# ///
"""Changes the package in small ways, one at a time, and counts the changes that no test notices.

    uv run --script tools/mutation/run.py OUT.csv [--count 400] [--seed 0] [--files PART] [--jobs 1]

cosmic-ray makes the changes (another operator, another number, a loop that never runs ...). They
are drawn evenly from all of ``ROOMS`` with a fixed seed. Each runs in a copy of the last commit,
against the tests of its room that execute the changed line, in the Python of ``.venv`` or of
``PYTHON=...``. All tests run once before the first change, to find those. A run that was stopped
goes on where it was, as long as the commit is the same: rows in OUT.csv are not repeated.

OUT.csv: file, line, operator and its occurrence, outcome (killed, survived, timeout), seconds, and
the test that failed first. Timeouts are changes that the tests noticed by never ending.
"""

import argparse
import csv
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

from changes import ROOMS, Mutant, changed, draw, find_mutants, statement

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get('PYTHON', str(ROOT / '.venv/bin/python'))
# Where else a room is tested: as a part of the backbones, and through the commands
FURTHER_TESTS = {
    'backbones': ['tests/test_contract.py'],
    'layers': ['tests/backbones', 'tests/test_contract.py'],
    'checkpoints': ['tests/test_checkpoint_loaders.py', 'tests/cli/test_convert_checkpoint.py'],
    'data_checks': ['tests/cli/test_check_data.py'],
}
# What the tests import, once for all changes
LIBRARIES = ('cv2', 'hypothesis', 'mmdet.apis', 'mmpretrain.apis', 'mmseg.apis', 'timm')
COLUMNS = ('file', 'line', 'operator', 'occurrence', 'outcome', 'seconds', 'test')


def tests_of(file: str) -> list[str]:
    """Return the tests to run: those of the file first, then those of its room."""
    _, room, name = Path(file).parts
    own, folder = f'tests/{room}/test_{name}', f'tests/{room}'
    return [own] * (ROOT / own).exists() + [folder] + FURTHER_TESTS.get(room, [])


class Runner:
    """A copy of the last commit, and a process that runs its tests."""

    def __init__(self, root: Path, archive: bytes) -> None:
        self.root = root
        root.mkdir()
        subprocess.run(['tar', 'x', '-C', str(root)], input=archive, check=True)
        environment = {**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'}
        environment['PYTHONDONTWRITEBYTECODE'] = '1'  # its times of change are whole seconds
        self.process = subprocess.Popen(
            [PYTHON, '-P', str(Path(__file__).with_name('runner.py')), str(root), *LIBRARIES],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Run tests; ``runner.py`` explains request and answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def measure(self, path: str) -> dict[str, Any]:
        """Return seconds and executed lines of all tests of a file or folder."""
        answer = self.ask(paths=[path], limit=3600, chosen=None, known=[])
        if answer['outcome'] != 'survived':
            raise SystemExit(f'{path} fails without a change: {answer["test"]}')
        return answer['tests']

    def run_mutant(self, mutant: Mutant, tests: dict[str, Any]) -> dict[str, Any]:
        """Change a file of the copy, run the tests that notice it first, and put the file back."""
        file = self.root / mutant.file
        source = file.read_text()
        chosen = choose(mutant, source, tests)
        limit = 3 * sum(tests[name]['seconds'] for name in chosen) + 30
        paths = list(dict.fromkeys(name.partition('::')[0] for name in chosen))
        try:
            file.write_text(changed(self.root, mutant))
            return self.ask(paths=paths, limit=limit, chosen=chosen, known=list(tests))
        finally:
            file.write_text(source)


def choose(mutant: Mutant, source: str, tests: dict[str, Any]) -> list[str]:
    """Return the tests that execute a line: those of its file, then those of the cheapest file.

    A line that no test executes runs while the file is imported (or never): then all tests.
    """
    paths = tuple(tests_of(mutant.file))
    near = [name for name in tests if name.startswith(paths)]
    lines = set(statement(source, mutant.line))
    chosen = [name for name in near if lines & set(tests[name]['lines'].get(mutant.file, ()))]
    chosen = chosen or near
    costs: Counter[str] = Counter()
    for name in chosen:
        costs[name.partition('::')[0]] += tests[name]['seconds']
    return sorted(chosen, key=lambda name: _place(name.partition('::')[0], paths, costs))


def _place(path: str, paths: tuple[str, ...], costs: Counter[str]) -> tuple[int, float, str]:
    first = next(number for number, known in enumerate(paths) if path.startswith(known))
    return min(first, 1), costs[path], path


def read_rows(path: Path) -> dict[Mutant, dict[str, str]]:
    """Return the rows of an earlier run."""
    if not path.exists():
        return {}
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    return {
        Mutant(row['file'], int(row['line']), row['operator'], int(row['occurrence'])): row
        for row in rows
    }


def print_table(rows: list[dict[str, str]]) -> None:
    """Print the share of changes that were noticed, for each room and in all."""
    for room in (*ROOMS, ''):
        counts = Counter(
            row['outcome'] for row in rows if row['file'].startswith(f'tnt_backbone/{room}')
        )
        total = counts.total()
        if total:
            share = 1 - counts['survived'] / total
            print(f'{room or "all":12} {total:4} changes, noticed {share:.1%}  {dict(counts)}')


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', metavar='OUT.csv', type=Path)
    parser.add_argument('--count', type=int, default=400, help='changes to draw (default: 400)')
    parser.add_argument('--seed', type=int, default=0, help='of the draw (default: 0)')
    parser.add_argument('--files', default='', help='part of the names of the files to change')
    parser.add_argument('--jobs', type=int, default=1, help='processes at a time (default: 1)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='mutation_') as folder:
        archive = subprocess.run(
            ['git', 'archive', 'HEAD'], cwd=ROOT, check=True, capture_output=True
        ).stdout
        runners = [Runner(Path(folder).resolve() / str(i), archive) for i in range(args.jobs)]
        root = runners[0].root
        mutants = [mutant for mutant in find_mutants(root) if args.files in mutant.file]
        drawn = draw(root, mutants, args.count, args.seed)
        done = read_rows(args.out)
        left = [mutant for mutant in drawn if mutant not in done]
        print(f'{len(drawn)} of {len(mutants)} changes, {len(left)} of them to do', flush=True)
        paths = {path for mutant in left for path in tests_of(mutant.file)}
        paths = {path for path in paths if not any(is_within(path, other) for other in paths)}
        free: Queue[Runner] = Queue()
        for runner in runners:
            free.put(runner)
        with ThreadPoolExecutor(args.jobs) as pool, args.out.open('a', newline='') as file:
            tests: dict[str, Any] = {}
            for found in pool.map(partial(borrow, free, Runner.measure), sorted(paths)):
                tests |= found
            print(f'{len(tests)} tests pass without a change', flush=True)
            writer = csv.DictWriter(file, COLUMNS)
            if not done:
                writer.writeheader()
            run = partial(borrow, free, Runner.run_mutant, tests=tests)
            futures = {pool.submit(run, mutant): mutant for mutant in left}
            for number, future in enumerate(as_completed(futures), 1):
                mutant, answer = futures[future], future.result()
                row = {
                    **mutant._asdict(),
                    'outcome': answer['outcome'],
                    'seconds': f'{answer["seconds"]:.1f}',
                    'test': answer['test'],
                }
                writer.writerow(row)
                file.flush()
                done[mutant] = {key: str(value) for key, value in row.items()}
                place = f'{mutant.file}:{mutant.line}'
                print(
                    f'{number}/{len(left)} {answer["outcome"]} {place} {mutant.operator}',
                    flush=True,
                )
        for runner in runners:
            runner.process.communicate('')  # the end of the requests
    print_table([done[mutant] for mutant in drawn])


def is_within(path: str, folder: str) -> bool:
    """Whether a path of tests lies in a folder of tests."""
    return path.startswith(folder + '/')


def borrow(free: 'Queue[Runner]', method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of the next free runner."""
    runner = free.get()
    try:
        return method(runner, *args, **kwargs)
    finally:
        free.put(runner)


if __name__ == '__main__':
    main()
