r"""Does pretraining pay? Detection and segmentation from CIFAR-10's weights and from scratch.

    python benchmarks/pretraining.py --data data --out work_dirs/pretraining

``--data`` is a folder with ``cifar10``, ``kangaroo`` and ``pennfudan``. MMPretrain trains TNT-Ti on
CIFAR-10 with configs/tnt_ti_cifar10.py. Then RetinaNet finds kangaroos and Semantic FPN segments
pedestrians in pictures of 128 pixels, with the same schedule from the weights and from scratch,
three seeds each. Each finished run is a row of OUT/results.csv. The same command continues after
an interruption.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from study import Key, Rows, metric, only_one, require_data, run_all, run_tool, train

SEEDS = (0, 1, 2)
STEPS = 400
CLASSIFY: Key = ('classify', 'scratch', '0', '0')  # its schedule is that of its config
METRICS = dict(classify='accuracy/top1', detect='coco/bbox_mAP', segment='mIoU')
PARTS = (  # what the folder of the data must hold
    'cifar10/train',
    'cifar10/val',
    'kangaroo/train.json',
    'kangaroo/val.json',
    'kangaroo/images',
    'pennfudan/images/train',
    'pennfudan/images/val',
    'pennfudan/masks/train',
    'pennfudan/masks/val',
)
KEYS = ('task', 'start', 'seed', 'steps')
COLUMNS = (*KEYS, 'metric', 'value', 'minutes')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data'), metavar='DIR')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/pretraining'), metavar='DIR')
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--list', action='store_true', help='print what is missing and end')
    args = parser.parse_args(argv)
    if not args.list:
        require_data(parser, '--data', args.data, PARTS)
    return args


def missing(rows: Rows) -> list[Key]:
    """Return the runs without a row that can start now: first of all the classifier."""
    done = rows.done()
    if CLASSIFY not in done:
        return [CLASSIFY]
    wanted = [
        (task, start, str(seed), str(STEPS))
        for seed in SEEDS
        for task in ('detect', 'segment')
        for start in ('cifar10', 'scratch')
    ]
    return [key for key in wanted if key not in done]


def folder_of(key: Key, out: Path) -> Path:
    """Return the folder of a run."""
    return out / 'runs' / '_'.join(key)


def run(key: Key, data: Path, out: Path) -> dict[str, Any]:
    """Train and test one network; return its row."""
    from pretraining_configs import CONFIGS

    task, start, seed, steps = key
    folder = folder_of(key, out)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / 'run.py'
    CONFIGS[task](data.resolve(), seed=int(seed), steps=int(steps)).dump(config)
    weights: list[object] = ['--from-scratch']
    if start != 'scratch':
        pretrained = folder_of(CLASSIFY, out) / 'last_checkpoint'
        weights = ['--weights', pretrained.read_text().strip()]
    checkpoint, took = train(config, '--no-validate', *weights)
    output = run_tool(
        'test', config, checkpoint, '--no-report', '--work-dir', folder, log=folder / 'output.txt'
    )
    value = metric(output, METRICS[task])
    percent = value * 100 if task == 'detect' else value
    return dict(zip(KEYS, key, strict=True)) | dict(
        metric=METRICS[task], value=f'{percent:.2f}', minutes=f'{took:.1f}'
    )


def main(argv: list[str] | None = None) -> int:
    """Run what is missing."""
    args = parse_args(argv)
    rows = Rows(args.out / 'results.csv', COLUMNS, len(KEYS))
    if args.list:
        for key in missing(rows):
            print(*key)
        return 0
    with only_one(args.out):
        failed = run_all(
            lambda: missing(rows), lambda key: run(key, args.data, args.out), rows, args.jobs
        )
    for key in failed:
        print('failed:', *key, '- see', folder_of(key, args.out) / 'output.txt')
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
