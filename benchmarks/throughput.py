r"""Images per second of models in one process, in turns, as ratios to the first.

    python benchmarks/throughput.py timm:deit_small_patch16_224 TNT:s timm:tnt_s_patch16_224
    python benchmarks/throughput.py timm:deit_small_patch16_224 TNT:s --dtypes float32 bfloat16
    python benchmarks/throughput.py timm:deit_small_patch16_224 TNT:s --ways eager compiled \
        --plot ratios.png

Machines are noisy, and a disturbance affects all models that run in turns. In each round every
model runs once in each dtype and way, and the quickest round of each counts. ``--plot FILE.png``
draws the ratios. ``zoo.py`` explains the names of models.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

import machine
import torch
import zoo
from torch import Tensor, nn

MODES = ('forward', 'train')
DTYPES = ('float32', 'bfloat16', 'float16')
WAYS = ('eager', 'compiled')  # by torch.compile in its default mode
Variant = tuple[str, str, str]  # model, dtype, way


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL', help='the first is what 1.00 means')
    parser.add_argument('--shape', type=int, nargs=2, default=[224, 224], metavar='PX')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--modes', nargs='+', choices=MODES, default=MODES)
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=['float32'])
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=['eager'])
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, help='of the CPU; default: what torch takes')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--plot', type=Path)
    return parser.parse_args()


def step(model: nn.Module, run: zoo.Run, images: Tensor, dtype: str, mode: str) -> None:
    """Run a model, compiled or not, from gradients of zero."""
    model.zero_grad()
    zoo.step(run, images, getattr(torch, dtype), backward=mode == 'train')


def measure(args: argparse.Namespace) -> dict[str, dict[Variant, float]]:
    """Return the seconds of each variant's quickest step, by mode."""
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, *args.shape, device=args.device)
    best = {}
    for mode in args.modes:
        work = {}
        for name in args.models:
            model = zoo.build(name, tuple(args.shape)).to(args.device).train(mode == 'train')
            runs = {way: torch.compile(model) if way == 'compiled' else model for way in args.ways}
            for dtype, (way, run) in product(args.dtypes, runs.items()):
                work[name, dtype, way] = partial(step, model, run, images, dtype, mode)
        best[mode] = machine.in_turns(work, args.rounds)
    return best


def plot(best: dict[str, dict[Variant, float]], path: Path) -> None:
    """Draw bars of time relative to the first variant's."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    variants = list(next(iter(best.values())))
    differ = [i for i, values in enumerate(zip(*variants, strict=True)) if len(set(values)) > 1]
    names = [', '.join(variant[i] for i in differ or [0]) for variant in variants]
    figure, axes = pyplot.subplots(figsize=(9, 0.22 * len(names) * len(best) + 1))
    height = 0.8 / len(best)
    for i, (mode, taken) in enumerate(best.items()):
        ratios = [seconds / taken[variants[0]] for seconds in taken.values()]
        bars = axes.barh([y + i * height for y in range(len(names))], ratios, height, label=mode)
        axes.bar_label(bars, fmt='%.2f')
    axes.set_yticks([y + height * (len(best) - 1) / 2 for y in range(len(names))], names)
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    axes.set_xlabel(f'time relative to {names[0]}')
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print a row per model, dtype and way."""
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    height, width = args.shape
    print(f'{height}x{width}, batch {args.batch}, best of {args.rounds} rounds')
    print(machine.describe(args.device))
    best = measure(args)
    columns = [f'{mode}: {unit}' for mode in best for unit in ('ms', 'images/s', 'relative time')]
    print(f'| model | dtype | way | {" | ".join(columns)} |\n{"| --- " * (len(columns) + 3)}|')
    for variant in product(args.models, args.dtypes, args.ways):
        cells = []
        for taken in best.values():
            seconds, first = taken[variant], next(iter(taken.values()))
            cells += [f'{seconds * 1e3:.1f}', f'{args.batch / seconds:.1f}']
            cells.append(f'{seconds / first:.2f}')
        print(f'| {" | ".join((*variant, *cells))} |')
    if args.plot:
        plot(best, args.plot)


if __name__ == '__main__':
    main()
