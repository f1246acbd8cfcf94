r"""Do words help with small things? Networks of the same cost on digits of 4 to 48 pixels.

    python benchmarks/small_objects.py --out work_dirs/small_objects --jobs 2

It makes the data, measures which widths cost the same (cost.csv), and trains each network at two
learning rates with the first seed, then at the better one with the others. All use the same scenes,
head, recipe and number of steps. Each finished run is a row of OUT/results.csv. The same command
continues after an interruption: it repeats no run that has a row, and takes up the others at their
last checkpoint. ``python benchmarks/evidence.py`` makes tables and plots of the rows.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from small_objects_digits import SIZES, make_digits
from small_objects_photos import SOURCES, make_photos
from study import Key, Rows, metric, only_one, require_data, run_all, run_tool, train

RATES = (1e-3, 3e-3)
SEEDS = (0, 1, 2)
STEPS = dict(detect=1000, segment=1000, photos=1000)
SCENES = dict(train=2000, val=200)
PHOTO_SCENES = dict(train=400, val=50)
NETWORKS = ('tnt_words', 'tnt', 'vit', 'swin', 'resnet')
DESIGNS = ('words_zero', 'words_told', 'words_first')  # of the word pyramid, with --designs
RANGES = {
    # the drawn sizes; turned digits may be a little larger or smaller than they were asked for
    name: (0.0 if name == 'small' else float(low), 1e4 if name == 'large' else float(high))
    for name, (low, high) in SIZES.items()
}
SCORES = [
    f'{score}_{size}{suffix}'
    for suffix in ('', '_any')
    for size in ('all', *RANGES)
    for score in ('AP', 'AP50')
]
MAP_SCORES = [f'pixels_{size}{suffix}' for suffix in ('', '_any') for size in RANGES] + ['IoU_any']
KEYS = ('task', 'network', 'rate', 'seed', 'steps')
COLUMNS = (*KEYS, 'width', 'minutes', 'mIoU', *SCORES, *MAP_SCORES)
DECISIVE = dict(
    detect='AP_all', segment='mIoU', photos='AP_all'
)  # of two rates, the one with more of it is better


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/small_objects'), metavar='DIR')
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument(
        '--only', nargs='+', default=[], metavar='WORD', help='tasks and networks, e.g. detect tnt'
    )
    parser.add_argument(
        '--photos', type=Path, metavar='DIR', help='folder with kangaroo/ and pennfudan/'
    )
    parser.add_argument(
        '--designs', action='store_true', help='also other designs of the word pyramid'
    )
    parser.add_argument(
        '--rates', nargs='+', type=float, default=RATES, metavar='RATE', help='learning rates'
    )
    parser.add_argument('--rounds', type=int, default=10, help='of the measurement of the cost')
    parser.add_argument('--list', action='store_true', help='print what is missing and end')
    args = parser.parse_args(argv)
    words = (*STEPS, *NETWORKS, *DESIGNS)
    if unknown := [word for word in args.only if word not in words]:
        parser.error(f'--only {" ".join(unknown)}: choose from {" ".join(words)}')
    if 'photos' in args.only and args.photos is None:
        parser.error('--only photos needs --photos DIR, a folder with kangaroo/ and pennfudan/')
    if args.photos is not None:
        parts = [
            part.format(split=split)
            for source in SOURCES.values()
            for part in source
            for split in SCENES
        ]
        require_data(parser, '--photos', args.photos, dict.fromkeys(parts))
    args.tasks = [task for task in STEPS if task in args.only] or [
        task for task in STEPS if task != 'photos' or args.photos
    ]
    named = [name for name in (*NETWORKS, *DESIGNS) if name in args.only] or list(NETWORKS)
    args.networks = list(dict.fromkeys((*named, *(DESIGNS if args.designs else ()))))
    return args


def missing(
    rows: Rows, tasks: list[str], networks: list[str], rates: Sequence[float] = RATES
) -> list[Key]:
    """Return the runs without a row that can start now, in their order.

    The seeds after the first wait for all rates of the first. Designs of the word pyramid take
    the largest rate, at which the pyramid as built is better.
    """
    done = rows.done()
    wanted: list[Key] = []
    for task in tasks:
        steps = str(STEPS[task])
        for network in networks:
            if network in DESIGNS:
                rate = f'{max(rates):g}'
                wanted += [(task, network, rate, str(seed), steps) for seed in SEEDS]
                continue
            first = [(task, network, f'{rate:g}', str(SEEDS[0]), steps) for rate in rates]
            wanted += first
            if all(key in done for key in first):
                rate = max(first, key=lambda key: float(done[key][DECISIVE[key[0]]]))[2]
                wanted += [(task, network, rate, str(seed), steps) for seed in SEEDS[1:]]
    # a first seed of all tells more than three of one
    wanted.sort(key=lambda key: int(key[3]))
    return [key for key in wanted if key not in done]


def run(key: Key, out: Path, widths: dict[str, int]) -> dict[str, Any]:
    """Train and test one network; return its row."""
    from small_objects_models import DIGITS, REFERENCE_WIDTH, detector, segmentor, with_recipe
    from small_objects_scores import box_scores, map_scores

    task, network, rate, seed, steps = key
    width = widths.get(network, REFERENCE_WIDTH)  # of a design: that of the word pyramid as built
    folder = out / 'runs' / '_'.join(key)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / 'run.py'
    data = out / ('photos' if task == 'photos' else 'data')
    if task == 'segment':
        cfg = segmentor(network, width, data)
    else:
        cfg = detector(network, width, data, SOURCES if task == 'photos' else DIGITS)
    cfg = with_recipe(cfg, steps=int(steps), rate=float(rate), seed=int(seed))
    if network in DESIGNS:
        cfg.custom_imports.imports.append('small_objects_designs')
    cfg.dump(config)
    checkpoint, took = train(config, '--from-scratch', '--no-validate')
    row = dict(zip(KEYS, key, strict=True), width=width, minutes=f'{took:.1f}')
    boxes = folder / 'found'
    options = (
        ['--out', boxes]
        if task == 'segment'
        else ['--cfg-options', f'test_evaluator.outfile_prefix={boxes}']
    )
    output = run_tool(
        'test', config, checkpoint, '--no-report', '--work-dir', folder, *options,
        log=folder / 'output.txt',
    )  # fmt: skip
    truth = data / 'annotations/instances_val.json'
    if task == 'segment':
        row |= dict(mIoU=metric(output, 'mIoU'))
        scores = map_scores(truth, data / 'semantic/val', boxes, RANGES)
    else:
        scores = box_scores(truth, boxes.with_suffix('.bbox.json'), RANGES)
    return row | {name: f'{score:.4f}' for name, score in scores.items()}


def main(argv: list[str] | None = None) -> int:
    """Run what is missing."""
    args = parse_args(argv)
    rows = Rows(args.out / 'results.csv', COLUMNS, len(KEYS))
    if args.list:
        for key in missing(rows, args.tasks, args.networks, args.rates):
            print(*key)
        return 0
    with only_one(args.out):
        from small_objects_cost import COLUMNS as COST_COLUMNS
        from small_objects_cost import calibrate, chosen_widths

        make_digits(args.out / 'data', **SCENES)
        if 'photos' in args.tasks:
            make_photos(args.out / 'photos', args.photos, PHOTO_SCENES)
        cost = Rows(args.out / 'cost.csv', COST_COLUMNS, 2)
        if not cost.read():
            calibrate(args.out / 'data', cost, args.rounds)
        widths = chosen_widths(cost)
        failed = run_all(
            lambda: missing(rows, args.tasks, args.networks, args.rates),
            lambda key: run(key, args.out, widths),
            rows,
            args.jobs,
        )
    for key in failed:
        print('failed:', *key, '- see', args.out / 'runs' / '_'.join(key) / 'output.txt')
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
