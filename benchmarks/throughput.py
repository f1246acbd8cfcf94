"""Images per second of models in one process, in turns, as ratios to the first.

    python benchmarks/throughput.py timm:deit_small_patch16_224 TNT:s timm:tnt_s_patch16_224
    python benchmarks/throughput.py timm:deit_small_patch16_224 TNT:s --compile --plot ratios.png

Machines are noisy, and whoever else is on them hits all models alike if they take turns: in each
round every model runs once, and the quickest round of each counts. ``--plot FILE.png`` draws the
ratios. What a name means stands in ``zoo.py``.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import machine
import torch
import zoo
from torch import nn

MODES = ('forward', 'train')
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL', help='the first is what 1.00 means')
    parser.add_argument('--shape', type=int, nargs=2, default=[224, 224], metavar='PX')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--modes', nargs='+', choices=MODES, default=MODES)
    parser.add_argument('--dtype', choices=DTYPES, default='float32')
    parser.add_argument('--compile', action='store_true', help='by torch.compile, default mode')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, help='of the CPU; default: what torch takes')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--plot', type=Path)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the seconds of each model's quickest step, by mode."""
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, *args.shape, device=args.device)
    best: dict[str, dict[str, float]] = {}
    for mode in args.modes:
        train = mode == 'train'
        models: dict[str, nn.Module] = {
            name: zoo.build(name, tuple(args.shape)).to(args.device).train(train)
            for name in args.models
        }
        runs = {n: torch.compile(model) if args.compile else model for n, model in models.items()}
        seconds = defaultdict(list)
        for _ in range(args.rounds + 1):
            for name, run in runs.items():
                models[name].zero_grad()
                start = time.perf_counter()
                zoo.step(run, images, DTYPES[args.dtype], backward=train)
                seconds[name].append(time.perf_counter() - start)
        best[mode] = {name: min(taken[1:]) for name, taken in seconds.items()}  # the first warms up
    return best


def plot(best: dict[str, dict[str, float]], path: Path) -> None:
    """Draw bars of time relative to the first model's."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    names = list(next(iter(best.values())))
    figure, axes = pyplot.subplots(figsize=(8, 0.6 * len(names) * len(best) ** 0.5 + 1))
    height = 0.8 / len(best)
    for i, (mode, taken) in enumerate(best.items()):
        ratios = [taken[name] / taken[names[0]] for name in names]
        bars = axes.barh([y + i * height for y in range(len(names))], ratios, height, label=mode)
        axes.bar_label(bars, fmt='%.2f')
    axes.set_yticks([y + height * (len(best) - 1) / 2 for y in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel(f'time relative to {names[0]}')
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print a row a model."""
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    height, width = args.shape
    print(
        f'{height}x{width}, batch {args.batch}, {args.dtype}, '
        f'{"compiled" if args.compile else "eager"}, best of {args.rounds} rounds\n'
        f'{machine.describe(args.device)}'
    )
    best = measure(args)
    columns = [f'{mode}: {unit}' for mode in best for unit in ('ms', 'images/s', 'relative time')]
    print(f'| model | {" | ".join(columns)} |\n{"| --- " * (len(columns) + 1)}|')
    for name in args.models:
        cells = [
            f'{taken[name] * 1e3:.1f} | {args.batch / taken[name]:.1f} | '
            f'{taken[name] / taken[args.models[0]]:.2f}'
            for taken in best.values()
        ]
        print(f'| {name} | {" | ".join(cells)} |')
    if args.plot:
        plot(best, args.plot)


if __name__ == '__main__':
    main()
