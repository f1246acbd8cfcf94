"""How time and memory grow with the image and with the batch: a table, exponents and a plot.

    python benchmarks/scaling.py TNT:s TNT:s+window_size=14 PyramidTNT:s --plot scaling.png
    python benchmarks/scaling.py TNT:s --batches 1 2 4 8 16 --backward

The exponent ``k`` in ``cost ~ pixels ** k`` (or images) is fitted to the larger half of the sizes:
1 is linear, 2 what attention among all patches tends to. Each size runs in a process of its own.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import machine
import matplotlib
import numpy as np
from memory import measure

Costs = dict[str, list[tuple[float, float]]]  # seconds and GiB of each size, by model


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL', help='see zoo.py')
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--sides', type=int, nargs='+', metavar='PX', default=[224, 320, 448, 640, 896, 1280, 1600]
    )
    sizes.add_argument('--batches', type=int, nargs='+', metavar='N', help='at 224 pixels')
    parser.add_argument('--backward', action='store_true')
    parser.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'])
    parser.add_argument('--repeat', type=int, default=2, help='steps; the quickest counts')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--plot', type=Path)
    return parser.parse_args()


def exponents(amounts: list[int], costs: list[tuple[float, float]]) -> list[float]:
    """Fit ``cost ~ amount ** k`` to the larger half; return ``k`` of time and of memory."""
    half = len(amounts) // 2
    return [
        float(np.polyfit(np.log(amounts[half:]), np.log(cost[half:]), 1)[0])
        for cost in np.array(costs).T
    ]


def plot(sizes: list[int], amounts: list[int], label: str, costs: Costs, path: Path) -> None:
    """Draw time and memory over the amounts, both axes logarithmic, with the sizes beside them."""
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    figure, pair = pyplot.subplots(1, 2, figsize=(11, 4.5))
    for axes, unit, column in zip(pair, ('seconds', 'GiB'), (0, 1), strict=True):
        for model, values in costs.items():
            slope = exponents(amounts, values)[column]
            ys = [value[column] for value in values]
            axes.loglog(amounts, ys, 'o-', label=f'{model}, exponent {slope:.2f}')
        axes.set(xlabel=label, ylabel=unit)
        axes.set_xticks(amounts, sizes)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter('{x:g}')
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print a row per size, and the exponents."""
    args = parse_args()
    label, sizes = ('images', args.batches) if args.batches else ('side', args.sides)
    amounts = sizes if args.batches else [side**2 for side in sizes]
    what = 'forward + backward' if args.backward else 'forward'
    print(f'{what}, {args.dtype}\n{machine.describe(args.device)}')
    costs: Costs = {model: [] for model in args.models}
    for size, model in product(sizes, args.models):
        side, args.batch = (224, size) if args.batches else (size, 1)
        args.shape = [side, side]
        costs[model].append(machine.in_fresh_process(measure, model, args))
        print(f'  {label} {size}, {model}: {costs[model][-1][0]:.2f} s', file=sys.stderr)
    heads = [f'{model}: {unit}' for model in args.models for unit in ('s', 'GiB')]
    print(f'| {label} | {" | ".join(heads)} |')
    print('| --- ' * (len(heads) + 1) + '|')
    for i, size in enumerate(sizes):
        cells = [f'{cost:.2f}' for model in args.models for cost in costs[model][i]]
        print(f'| {size} | {" | ".join(cells)} |')
    fitted = [f'{k:.2f}' for model in args.models for k in exponents(amounts, costs[model])]
    amount = 'images' if args.batches else 'pixels'
    print(f'| exponent of {amount} | {" | ".join(fitted)} |')
    if args.plot:
        plot(sizes, amounts, 'images' if args.batches else 'side in pixels', costs, args.plot)


if __name__ == '__main__':
    main()
