r"""Do the recipes learn? Each learns at most 4 real pictures by heart, through tnt train and test.

    python benchmarks/overfit.py --data data --out work_dirs/overfit

``--data`` is a folder with ``coco``, ``ade`` and ``imagenet`` (docs/datasets.md); a small part of
each is enough. A recipe that learns reaches 0.9 of AP50, mIoU or top-1 on the pictures that it was
trained on. Each finished run is a row of OUT/results.csv. The same command continues after an
interruption.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from overfit_recipes import METRICS, PARTS, RECIPES, Recipe, key_of
from study import Key, Rows, losses, metric, only_one, require_data, run_all, run_tool, train

KEYS = ('recipe', 'steps', 'batch', 'rate')
COLUMNS = (*KEYS, 'metric', 'value', 'loss_start', 'loss_end', 'minutes')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data'), metavar='DIR')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/overfit'), metavar='DIR')
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--only', nargs='+', choices=RECIPES, default=list(RECIPES), metavar='NAME')
    parser.add_argument('--list', action='store_true', help='print what is missing and end')
    args = parser.parse_args(argv)
    if not args.list:
        needed = {RECIPES[name].data for name in args.only}
        require_data(parser, '--data', args.data, sorted(PARTS[name] for name in needed))
    return args


def run(key: Key, data: Path, out: Path) -> dict[str, Any]:
    """Train and test a recipe; return its row."""
    from overfit_config import make_config
    from overfit_data import make

    recipe: Recipe = RECIPES[key[0]]
    pictures = (out / 'data' / recipe.data).resolve()
    make(recipe.data, data, pictures)
    folder = out / 'runs' / '_'.join(key).replace(' ', '_')
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / 'run.py'
    make_config(recipe, pictures).dump(config)
    checkpoint, took = train(config, '--from-scratch', '--no-validate')
    output = run_tool(
        'test', config, checkpoint, '--no-report', '--work-dir', folder, log=folder / 'output.txt'
    )
    name = METRICS[recipe.data]
    value = metric(output, name) / (1 if recipe.data == 'coco' else 100)  # the others in percent
    first, last = losses(folder)
    return dict(zip(KEYS, key, strict=True)) | dict(
        metric=name,
        value=f'{value:.3f}',
        loss_start=f'{first:.2f}',
        loss_end=f'{last:.2f}',
        minutes=f'{took:.1f}',
    )


def main(argv: list[str] | None = None) -> int:
    """Run what is missing."""
    args = parse_args(argv)
    rows = Rows(args.out / 'results.csv', COLUMNS, len(KEYS))

    def missing() -> list[Key]:
        done = rows.done()
        return [key for key in map(key_of, args.only) if key not in done]

    if args.list:
        for key in missing():
            print(*key)
        return 0
    with only_one(args.out):
        failed = run_all(missing, lambda key: run(key, args.data, args.out), rows, args.jobs)
    for key in failed:
        print('failed:', *key, '- see', args.out / 'runs')
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
