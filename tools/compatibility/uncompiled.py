"""Run stock configs with TNT without compiled operators, and list the operators that they call.

bash tools/setup_env.sh --no-compile
.venv/bin/python tools/compatibility/uncompiled.py          # one config per folder
.venv/bin/python tools/compatibility/uncompiled.py --all    # every distinct model

Rows are added to ``uncompiled.csv``. What is there for the installed versions is not run again.
Only the configs are run that run with TNT and compiled operators, according to ``outcomes.csv``.
``page.py`` makes the page of both files.
"""

import argparse
import csv
import importlib
import json
import os
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import swapping
import sweep
from mmengine.config import Config
from sweep import Row

OUTCOMES = Path(__file__).with_name('uncompiled.csv')
COLUMNS = ('config', 'outcome', 'operators', 'swapped', 'date', 'versions')


def chosen(*, every: bool) -> list[Row]:
    """Return rows of ``outcomes.csv``: the first of each folder, or one per distinct model."""
    rows, seen = [], set()
    for row in sorted(sweep.read().values(), key=lambda row: row['config']):
        folder = row['config'].rpartition('/')[0]
        key = row['swapped'] if every else folder
        if row['TNT'].startswith('ok') and key not in seen:
            seen.add(key)
            rows.append(row)
    return rows


class Recorder:
    """mmcv's operators, which note in ``called`` that they were called."""

    def __init__(self, operators: Any, called: set[str]) -> None:
        self._operators = operators
        self._called = called

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._called.add(name)
            return getattr(self._operators, name)(*args, **kwargs)

        return call


def attempt(model: swapping.Model, library: str) -> tuple[str, list[str]]:
    """Return ``'ok'`` or what went wrong, and the operators that were called."""

    def run(size: tuple[int, int]) -> str:  # in a process of its own
        os.chdir(sweep.ROOTS[library].parent)
        called: set[str] = set()
        for name, file in list(sys.modules.items()):
            if name.startswith('mmcv.ops.') and hasattr(file, 'ext_module'):
                file.ext_module = Recorder(file.ext_module, called)
        return json.dumps([swapping.attempt(model, library, size), sorted(called)])

    answer = sweep.in_fork(partial(run, sweep.SIZES[library]))
    if sweep.TOO_SMALL in answer:
        answer = sweep.in_fork(partial(run, sweep.LARGER))
    return tuple(json.loads(answer)) if answer.startswith('[') else (answer, [])


def read() -> dict[str, Row]:
    """Return the last row of each config."""
    if not OUTCOMES.exists():
        return {}
    with OUTCOMES.open(newline='') as file:
        return {row['config']: row for row in csv.DictReader(file)}


def try_row(known: Row) -> Row:
    """Run the config of a row of ``outcomes.csv`` with TNT as it ran there."""
    library, _, name = known['config'].partition('/')
    cfg = Config.fromfile(sweep.ROOTS[library] / name)
    model = swapping.prepare(cfg)
    _, levels = swapping.options(swapping.resnets(model)[0])
    added = levels if 'out_strides' in known['TNT'] else {}
    outcome, operators = attempt(swapping.swap(model, type='TNT', **added), cfg.default_scope)
    return {
        'config': known['config'],
        'outcome': outcome,
        'operators': ' '.join(operators),
        'swapped': known['swapped'],
        'date': str(date.today()),
        'versions': sweep.VERSIONS,
    }


def main() -> None:
    """Run what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--all', action='store_true', help='every distinct model')
    args = parser.parse_args()
    operators = importlib.import_module('mmcv._ext')
    if operators.__file__.endswith('.so'):
        parser.error(
            f'mmcv in {sys.prefix} has compiled operators. Use an environment without them: '
            'bash tools/setup_env.sh --no-compile'
        )
    rows = chosen(every=args.all)
    for number, known in enumerate(rows, 1):
        done = read().get(known['config'])
        if done and done['versions'] == sweep.VERSIONS:
            continue
        row = try_row(known)
        print(
            f'{number}/{len(rows)} {row["config"]}: {row["outcome"]} {row["operators"]}', flush=True
        )
        sweep.append(row, OUTCOMES, COLUMNS)


if __name__ == '__main__':
    main()
