"""Which of PyTorch's operators the time of a step goes into, on a CPU.

    python benchmarks/operators.py PyramidTNT:s --shape 256 256 --batch 4 --backward
    python benchmarks/operators.py timm:deit_small_patch16_224 TNT:s --batch 4 --dtype bfloat16

Time within an operator, without that of the operators it calls, as ``torch.profiler`` sees it.
"""

import argparse
from collections.abc import Mapping

import machine
import torch
import zoo
from torch.profiler import ProfilerActivity, profile


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL', help='see zoo.py')
    parser.add_argument('--shape', type=int, nargs=2, default=[224, 224], metavar='PX')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--backward', action='store_true')
    parser.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16'])
    parser.add_argument('--rounds', type=int, default=5, help='steps; their mean counts')
    parser.add_argument('--least', type=float, default=0.01, help='share of an own row')
    return parser.parse_args()


def measure(model: str, args: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a step that each operator takes by itself."""
    backbone = zoo.build(model, tuple(args.shape)).train(args.backward)
    images = torch.randn(args.batch, 3, *args.shape)
    dtype = getattr(torch, args.dtype)
    zoo.step(backbone, images, dtype, backward=args.backward)  # warms up
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(args.rounds):
            zoo.step(backbone, images, dtype, backward=args.backward)
    return {
        event.key: event.self_cpu_time_total / args.rounds / 1e6
        for event in profiler.key_averages()
    }


def rows(seconds: Mapping[str, float], least: float) -> list[tuple[str, float, float]]:
    """Operators with their seconds and share, largest first; small ones are one row, the last."""
    whole = sum(seconds.values())
    largest = sorted(seconds.items(), key=lambda item: -item[1])
    found = [(name, taken, taken / whole) for name, taken in largest if taken >= least * whole]
    rest = whole - sum(taken for _, taken, _ in found)
    return [*found, ('all others', rest, rest / whole)]


def main() -> None:
    """Print a table per model."""
    args = parse_args()
    what = 'forward + backward' if args.backward else 'forward'
    height, width = args.shape
    print(f'{what}, {height}x{width}, batch {args.batch}, {args.dtype}')
    print(machine.describe('cpu'))
    for model in args.models:
        print(f'\n| {model} | ms | share |\n{"| --- " * 3}|')
        for name, seconds, share in rows(measure(model, args), args.least):
            print(f'| {name} | {seconds * 1e3:.1f} | {share:.1%} |')


if __name__ == '__main__':
    main()
