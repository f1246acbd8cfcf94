"""The share of a forward pass that goes into position tables of another size.

python benchmarks/position_tables.py TNT:s PyramidTNT:s T2TViT:14 --shape 800 1344

The backbones resize their tables in each pass and keep none; this is what keeping them would gain.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import machine
import torch
import zoo

from tnt_backbone.backbones import pyramid_tnt, t2t_vit, tnt

RESIZERS = ('resize_position_table', 'factor_relative_position')


class Stopwatch:
    """Adds up the seconds that functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def run(*args: Any) -> Any:
            start = time.perf_counter()
            result = function(*args)
            self.seconds += time.perf_counter() - start
            return result

        return run


def measure(model: str, shape: tuple[int, int], rounds: int) -> tuple[float, float]:
    """Return the seconds of the tables and of the whole pass, each of its quickest round."""
    backbone, images = zoo.build(model, shape, pyramid=True).eval(), torch.randn(1, 3, *shape)
    tables, passes = [], []
    for _ in range(rounds + 1):
        watch = Stopwatch()
        with ExitStack() as patches, torch.no_grad():
            for module in (tnt, pyramid_tnt, t2t_vit):
                for name in set(RESIZERS) & set(vars(module)):
                    timed = watch.timed(getattr(module, name))
                    patches.enter_context(mock.patch.object(module, name, timed))
            start = time.perf_counter()
            backbone(images)
            passes.append(time.perf_counter() - start)
        tables.append(watch.seconds)
    return min(tables[1:]), min(passes[1:])  # the first warms up


def main() -> None:
    """Print a row per model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL', help='one of ours, see zoo.py')
    parser.add_argument('--shape', type=int, nargs=2, default=[800, 1344], metavar='PX')
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    print(machine.describe('cpu'))
    print('| model | tables: ms | forward: ms | share |\n| --- | --- | --- | --- |')
    for model in args.models:
        tables, whole = measure(model, tuple(args.shape), args.rounds)
        print(f'| {model} | {tables * 1e3:.1f} | {whole * 1e3:.0f} | {tables / whole:.1%} |')


if __name__ == '__main__':
    main()
