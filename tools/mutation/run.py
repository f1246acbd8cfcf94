# /// script
# requires-python = ">=3.11"
# dependencies = ["cosmic-ray==8.7.0"]
# ///
"""Changes the package in small ways, one at a time, and counts the changes that no test notices.

    uv run --script tools/mutation/run.py OUT.csv [--count 400] [--seed 0] [--files PATTERN]

cosmic-ray makes the changes (another operator, another number, a loop that never runs ...). They
are drawn evenly from all of ``ROOMS`` with a fixed seed. Each runs in a copy of the last commit,
against the tests of its file, in the Python of ``.venv`` or of ``PYTHON=...``. A run that was
stopped goes on where it was, as long as the commit is the same: rows in OUT.csv are not repeated.

OUT.csv: file, line, operator and its occurrence, outcome (killed, survived, timeout), seconds, and
the test that failed first. Timeouts are changes that the tests noticed by never ending.
"""

import argparse
import ast
import csv
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get('PYTHON', str(ROOT / '.venv/bin/python'))
ROOMS = ('backbones', 'layers', 'checkpoints', 'data_checks')
# Where else a room is tested: as a part of the backbones, and through the commands
FURTHER_TESTS = {
    'backbones': ['tests/test_contract.py'],
    'layers': ['tests/backbones', 'tests/test_contract.py'],
    'checkpoints': ['tests/test_checkpoint_loaders.py', 'tests/cli/test_convert_checkpoint.py'],
    'data_checks': ['tests/cli/test_check_data.py'],
}
COLUMNS = ('file', 'line', 'operator', 'occurrence', 'outcome', 'seconds', 'test')


class Mutant(NamedTuple):
    """One change: the ``occurrence``-th place of a file where an operator of cosmic-ray applies."""

    file: str
    line: int
    operator: str
    occurrence: int


def find_mutants(root: Path) -> list[Mutant]:
    """Return all changes that cosmic-ray knows, without those of annotations."""
    files = [
        file
        for room in ROOMS
        for file in sorted((root / 'tnt_backbone' / room).glob('*.py'))
        if file.name != '__init__.py'
    ]
    annotated = {file: set(_annotated_places(file.read_text())) for file in files}
    with use_db(':memory:', WorkDB.Mode.create) as session:
        init(files, session, {})
        found = [mutation for item in session.work_items for mutation in item.mutations]
    return sorted(
        Mutant(
            str(Path(mutation.module_path).relative_to(root)),
            mutation.start_pos[0],
            mutation.operator_name.removeprefix('core/'),
            mutation.occurrence,
        )
        for mutation in found
        if mutation.start_pos not in annotated[Path(mutation.module_path)]
    )


def _annotated_places(source: str) -> Iterator[tuple[int, int]]:
    """Line and column of each character of an annotation, where a change would change nothing."""
    for node in ast.walk(ast.parse(source)):
        for annotation in (getattr(node, 'annotation', None), getattr(node, 'returns', None)):
            if annotation is not None and annotation.lineno == annotation.end_lineno:
                for column in range(annotation.col_offset, annotation.end_col_offset):
                    yield annotation.lineno, column


def draw(root: Path, mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return changes drawn at random, the same ones each time, of those that Python can compile."""
    drawn: list[Mutant] = []
    for mutant in random.Random(seed).sample(mutants, len(mutants)):
        if len(drawn) == count:
            break
        try:
            ast.parse(changed(root, mutant))
        except SyntaxError:  # cosmic-ray also changes the * before keyword-only arguments
            continue
        drawn.append(mutant)
    return drawn


def changed(root: Path, mutant: Mutant) -> str:
    """Return the source of a file after a change."""
    operator = get_operator(f'core/{mutant.operator}')()
    return mutate_code((root / mutant.file).read_text(), operator, mutant.occurrence)


def tests_of(file: str) -> list[str]:
    """Return the tests to run: those of the file first, then those of its room."""
    _, room, name = Path(file).parts
    own, folder = f'tests/{room}/test_{name}', f'tests/{room}'
    return [own] * (ROOT / own).exists() + [folder] + FURTHER_TESTS.get(room, [])


def run_tests(root: Path, tests: list[str], limit: float) -> tuple[str, float, str]:
    """Run tests in a copy of the repository; return outcome, seconds, and what failed first."""
    command = [PYTHON, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider', *tests]
    environment = {**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'}
    environment['PYTHONDONTWRITEBYTECODE'] = '1'  # its times of change are whole seconds
    start = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that the tests started
            process.communicate()
            return 'timeout', limit, ''
    seconds = time.monotonic() - start
    if process.returncode == 0:
        return 'survived', seconds, ''
    failed = re.search(r'^(?:FAILED|ERROR) (.+?)(?: - .*)?$', output, flags=re.MULTILINE)
    return 'killed', seconds, failed[1] if failed else output.strip().rpartition('\n')[2]


def run_mutant(root: Path, mutant: Mutant, limit: float) -> tuple[str, float, str]:
    """Change a file of a copy of the repository, run its tests, and put the file back."""
    file = root / mutant.file
    source = file.read_text()
    try:
        file.write_text(changed(root, mutant))
        return run_tests(root, tests_of(mutant.file), limit)
    finally:
        file.write_text(source)


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
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='mutation_') as folder:
        root = Path(folder).resolve()
        archive = subprocess.run(
            ['git', 'archive', 'HEAD'], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(['tar', 'x', '-C', str(root)], input=archive.stdout, check=True)
        mutants = [mutant for mutant in find_mutants(root) if args.files in mutant.file]
        drawn = draw(root, mutants, args.count, args.seed)
        done = read_rows(args.out)
        print(
            f'{len(drawn)} of {len(mutants)} changes, {len(done)} of them done before', flush=True
        )
        limits: dict[tuple[str, ...], float] = {}
        with args.out.open('a', newline='') as file:
            writer = csv.DictWriter(file, COLUMNS)
            if not done:
                writer.writeheader()
            for number, mutant in enumerate(drawn, 1):
                if mutant in done:
                    continue
                tests = tuple(tests_of(mutant.file))
                if tests not in limits:
                    outcome, seconds, failed = run_tests(root, list(tests), 3600)
                    if outcome != 'survived':
                        sys.exit(f'{" ".join(tests)} fail without a change: {failed}')
                    limits[tests] = 3 * seconds + 30
                outcome, seconds, test = run_mutant(root, mutant, limits[tests])
                row = {
                    **mutant._asdict(),
                    'outcome': outcome,
                    'seconds': f'{seconds:.1f}',
                    'test': test,
                }
                writer.writerow(row)
                file.flush()
                done[mutant] = {key: str(value) for key, value in row.items()}
                place = f'{mutant.file}:{mutant.line}'
                print(f'{number}/{len(drawn)} {outcome} {place} {mutant.operator}', flush=True)
    print_table([done[mutant] for mutant in drawn])


if __name__ == '__main__':
    main()
